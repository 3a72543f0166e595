"""The options of each post-processor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from factory.secret import Secret
from factory.template.packer.options import NO_SECRET, Options, option

OUTPUT_NAMES = ("BuildName", "BuilderType")
CHECKSUM_TYPES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
BOX_NAMES = ("Provider", "ArtifactId", "BuildName", "Architecture")
LEAST_LEVEL, BEST_LEVEL = 1, 9


@dataclass(frozen=True, kw_only=True)
class Compress(Options):
    output: str = option("packer_{{.BuildName}}_{{.BuilderType}}", late=OUTPUT_NAMES)
    format: str = ""
    compression_level: int = -1
    algorithm: str = ""
    archive: str = ""


@dataclass(frozen=True, kw_only=True)
class Checksum(Options):
    checksum_types: tuple[str, ...] = option(("md5",), choices=CHECKSUM_TYPES)
    output: str = option(
        "packer_{{.BuildName}}_{{.BuilderType}}_{{.ChecksumType}}.checksum", late=(*OUTPUT_NAMES, "ChecksumType")
    )


@dataclass(frozen=True, kw_only=True)
class Manifest(Options):
    output: str = "packer-manifest.json"
    strip_path: bool = False
    strip_time: bool = False
    custom_data: Mapping[str, str] = field(default_factory=dict)
    filename: str = option("", replaced_by="output")


@dataclass(frozen=True, kw_only=True)
class Artifice(Options):
    files: tuple[str, ...] = option((), required=True)


@dataclass(frozen=True, kw_only=True)
class Vagrant(Options):
    output: str = option("packer_{{ .BuildName }}_{{.Provider}}_{{ .Architecture }}.box", late=BOX_NAMES)
    compression_level: int = 6
    include: tuple[str, ...] = ()
    """Files for the box; builds and earlier post-processors may make them."""
    vagrantfile_template: str = option("", file=True)
    vagrantfile_template_generated: bool = False
    provider_override: str = ""
    architecture: str = ""
    override: Mapping[str, Any] = option(None, any_late=True)


@dataclass(frozen=True, kw_only=True)
class VagrantRegistry(Options):
    """``vagrant-registry`` and its older form ``vagrant-cloud``."""

    box_tag: str = ""
    version: str = ""
    version_description: str = ""
    access_token: Secret[str] = NO_SECRET
    client_id: Secret[str] = NO_SECRET
    client_secret: Secret[str] = NO_SECRET
    architecture: str = ""
    default_architecture: str = ""
    workers: int = 0
    no_release: bool = False
    vagrant_cloud_url: str = ""
    hcp_vagrant_url: str = ""
    box_download_url: str = option("", any_late=True)
    box_checksum: str = ""
    no_direct_upload: bool = False
    insecure_skip_tls_verify: bool = False


@dataclass(frozen=True, kw_only=True)
class Provenance(Options):
    provenance: str = ""
    build_type: str = ""
    output_dir: str = ""
    template: str = ""
    only_builds: tuple[str, ...] = ()
    user_variables: Mapping[str, str] = field(default_factory=dict)
    source_uri: str = ""
    sbom: str = ""
    sbom_format: str = "cyclonedx"
    sbom_scan_path: str = ""
    sbom_scope: str = "squashed"
    sbom_exclude: tuple[str, ...] = ()
    signing_mode: str = option("none", choices=("none", "key", "kms", "keyless"))
    signer: str = ""
    key: str = ""
    verifier: str = ""
    fulcio_url: str = ""
    rekor_url: str = ""
    upload_tlog: bool = False
    trusted_root_path: str = ""
    keyless_identity: str = ""
    keyless_oidc_issuer: str = ""
