"""Packer configurations in HCL: files, variables, local values, sources, builds."""
