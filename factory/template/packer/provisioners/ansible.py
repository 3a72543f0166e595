"""Ansible, from this computer or inside the guest."""

from __future__ import annotations

from dataclasses import dataclass

from factory.template.packer.options import Options, option


@dataclass(frozen=True, kw_only=True)
class Ansible(Options):
    playbook_file: str = option("", required=True, file=True)
    command: str = "ansible-playbook"
    extra_arguments: tuple[str, ...] = ()
    ansible_env_vars: tuple[str, ...] = ()
    ansible_ssh_extra_args: tuple[str, ...] = ("-o IdentitiesOnly=yes",)
    groups: tuple[str, ...] = ()
    empty_groups: tuple[str, ...] = ()
    host_alias: str = "default"
    user: str = ""
    use_proxy: bool = True
    local_port: int = 0
    ssh_host_key_file: str = ""
    ssh_authorized_key_file: str = ""
    ansible_proxy_key_type: str = "ECDSA"
    sftp_command: str = "/usr/lib/sftp-server -e"
    use_sftp: bool = False
    skip_version_check: bool = False
    inventory_directory: str = ""
    inventory_file: str = ""
    inventory_file_template: str = option("", any_late=True)
    keep_inventory_file: bool = False
    galaxy_file: str = ""
    galaxy_command: str = "ansible-galaxy"
    galaxy_force_install: bool = False
    galaxy_force_with_deps: bool = False
    roles_path: str = ""
    collections_path: str = ""
    ansible_winrm_use_http: bool = False


@dataclass(frozen=True, kw_only=True)
class AnsibleLocal(Options):
    playbook_file: str = ""
    playbook_files: tuple[str, ...] = ()
    playbook_dir: str = ""
    playbook_paths: tuple[str, ...] = ()
    role_paths: tuple[str, ...] = ()
    collection_paths: tuple[str, ...] = ()
    group_vars: str = ""
    host_vars: str = ""
    staging_directory: str = ""
    clean_staging_directory: bool = False
    inventory_file: str = ""
    inventory_groups: tuple[str, ...] = ()
    galaxy_file: str = ""
    galaxy_command: str = "ansible-galaxy"
    galaxy_force_install: bool = False
    galaxy_roles_path: str = ""
    galaxy_collections_path: str = ""
    command: str = "ansible-playbook"
    extra_arguments: tuple[str, ...] = option((), any_late=True)
