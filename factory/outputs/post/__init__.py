"""Post-processors: what Packer's users do with an artifact once it is there."""
