"""Options that people write into a qemu builder although they belong elsewhere."""

from __future__ import annotations

from factory.errors import Problem

_VIRTUALBOX = """
audio_controller bundle_iso export_opts firmware_type format_opts gfx_accelerate_3d gfx_controller gfx_efi_resolution
gfx_vram_size guest_additions_interface guest_additions_mode guest_additions_path guest_additions_sha256
guest_additions_url guest_os_type hard_drive_discard hard_drive_interface hard_drive_nonrotational iso_interface
keep_registered nested_virt nic_type output_filename rtc_time_base sata_port_count skip_export sound usb
vboxmanage vboxmanage_post virtualbox_version_file vrdp_bind_address vrdp_port_max vrdp_port_min
"""
_VMWARE = """
cdrom_adapter_type disk_adapter_type disk_type_id network network_adapter_type remote_datastore remote_host
remote_password remote_type remote_username tools_mode tools_source_path tools_upload_flavor tools_upload_path version
vmdk_name vmx_data vmx_data_post vmx_template_path vnc_over_websocket
"""
_HYPERV = """
enable_secure_boot generation switch_name secure_boot_template enable_tpm enable_dynamic_memory
enable_virtualization_extensions configuration_version mac_address vlan_id
"""
_PARALLELS = "parallels_tools_flavor parallels_tools_mode prlctl prlctl_post prlctl_version_file"
_CLOUD_WORDS = [
    "ami",
    "access_key",
    "secret_key",
    "instance_type",
    "source_ami",
    "region",
    "image_id",
    "project_id",
    "zone",
    "subscription_id",
    "tenant_id",
    "api_token",
    "droplet",
    "vpc_id",
    "subnet_id",
    "security_group_id",
    "flavor",
    "vm_size",
    "location",
    "resource_group_name",
    "managed_image_name",
    "managed_image_resource_group_name",
    "client_id",
    "client_secret",
    "os_type",
    "image_publisher",
    "image_offer",
    "image_sku",
    "source_image",
    "source_image_family",
    "image_family",
    "machine_image_name",
    "account_file",
    "snapshot_name",
    "droplet_name",
    "server_type",
    "identity_endpoint",
    "networks",
    "node",
    "cluster",
    "datastore",
    "template_name",
    "vm_id",
    "spot_price",
    "launch_block_device_mappings",
    "datacenter",
    "vcenter_server",
    "proxmox_url",
]
_GUESSES = {
    "disk": "disk_size", "ram": "memory", "memsize": "memory", "cpu": "cpus", "cpu_type": "cpu_model", "iso": "iso_url",
    "checksum": "iso_checksum", "output_dir": "output_directory", "http_dir": "http_directory", "http_files":
    "http_content", "username": "ssh_username", "ssh_user": "ssh_username", "password": "ssh_password",
    "disk_bus": "disk_interface", "bios": "firmware", "uefi": "efi_boot", "efi": "efi_boot", "qemu_args": "qemuargs",
    "boot_cmd": "boot_command", "shutdown_cmd": "shutdown_command", "tpm": "vtpm", "disk_format": "format",
    "cd_rom": "cd_files", "accel": "accelerator", "display_type": "display", "network_device": "net_device",
}  # fmt: skip


def explain(plugin: str, name: str) -> Problem | str | None:
    """A hint for an unknown option; a warning where another local hypervisor's option can be passed over."""
    for owner, names in (
        ("virtualbox-iso", _VIRTUALBOX),
        ("vmware-iso", _VMWARE),
        ("hyperv-iso", _HYPERV),
        ("parallels-iso", _PARALLELS),
    ):
        if name in names.split():
            return Problem(
                f"“{name}” is an option of {owner}; {plugin} has nothing like it and passes it over",
                hint="Packer refuses it: take it out",
                severity="warning",
            )
    if any(name == word or name.startswith((word + "_", "aws_", "azure_", "gcp_")) for word in _CLOUD_WORDS):
        return f"“{name}” belongs to a cloud builder"
    return f"did you mean “{_GUESSES[name]}”?" if name in _GUESSES else None
