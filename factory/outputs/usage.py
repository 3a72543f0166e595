"""How a machine is made of a delivered file, in words and commands: with the firmware and hardware that it needs. Pure.

The disk bus and the network card are those that ``driver_needs`` looks for.
"""

from __future__ import annotations

from pathlib import Path

from factory.outputs.hardware import OvfHardware

_CONTROLLERS = {"lsilogic": "an LSI Logic", "pvscsi": "a paravirtual SCSI", "ide": "an IDE"}


def on_kvm(name: str, hardware: OvfHardware, code: Path | None, variables: str) -> str:
    """Of a qcow2 file ``{path}``. ``-snapshot`` keeps the delivered file as its checksum says.

    *code* is the UEFI firmware on this computer, *variables* the delivered file with its variables, if any.
    """
    memory, install, qemu = hardware.memory.mib, "", ""
    drive = "-drive file={path},format=qcow2,if=virtio"
    if hardware.uefi:
        install = " --boot uefi"
        qemu = " -machine q35,smm=on" if hardware.secure_boot else " -machine q35"
        qemu += _flash(code, variables) if code and variables else " -bios OVMF.fd"  # by this name in QEMU's own folder
        # The first, in words: the variables know the disk at its old address, and the shell comes before what is new.
        drive = "-drive id=disk,if=none,file={path},format=qcow2 -device virtio-blk-pci,drive=disk,bootindex=0"
    return (
        f"virt-install --import --name {name} --memory {memory} --osinfo detect=on,require=off"
        f" --disk path={{path}},bus=virtio --network default,model=virtio{install},"
        f" or qemu-system-x86_64 -m {memory} -snapshot{qemu} -nic user,model=virtio-net-pci {drive}"
    )


def _flash(code: Path, variables: str) -> str:
    format = "qcow2" if code.suffix == ".qcow2" else "raw"
    drives = (f"unit=0,readonly=on,file={code}", f"unit=1,file={variables}")
    return "".join(f" -drive if=pflash,format={format},{drive}" for drive in drives)


def on_hyper_v(name: str, hardware: OvfHardware) -> str:
    """Generation 2 is UEFI, with secure boot for Windows' key only; generation 1 is BIOS."""
    if not hardware.uefi:
        return f"New-VM -Name {name} -Generation 1 -MemoryStartupBytes {hardware.memory.mib}MB -VHDPath {{path}} (BIOS)"
    boot = "-SecureBootTemplate MicrosoftUEFICertificateAuthority" if hardware.secure_boot else "-EnableSecureBoot Off"
    return (
        f"New-VM -Name {name} -Generation 2 -MemoryStartupBytes {hardware.memory.mib}MB -VHDPath {{path}} (UEFI),"
        f" then Set-VMFirmware -VMName {name} {boot}"
    )


def on_vmware(adapter: str, hardware: OvfHardware) -> str:
    """Of a VMDK alone, which says nothing of its machine."""
    firmware = ("UEFI with secure boot" if hardware.secure_boot else "UEFI") if hardware.uefi else "BIOS"
    card = "VMXNET 3" if adapter == "pvscsi" else "E1000"
    products = "VMware" if adapter == "pvscsi" else "VMware or VirtualBox"
    disk = f"the disk on {_CONTROLLERS[adapter]} controller"
    return f"{products}: a machine with {firmware}, {disk}, the network on {card}"


def of_ova(file: str, name: str, hardware: OvfHardware) -> str:
    """VirtualBox does not read the firmware in VMware's words."""
    efi = f", then VBoxManage modifyvm {name} --firmware efi" if hardware.uefi else ""
    return f"VMware: ovftool {file} vi://…, or File → Import; VirtualBox: VBoxManage import {file}{efi}"


def on_azure(file: str, hardware: OvfHardware) -> str:
    return (
        f"az storage blob upload --type page --file {file} …, then az image create --os-type Linux"
        f" --hyper-v-generation {'V2' if hardware.uefi else 'V1'} …"
    )


def on_google(file: str, name: str, hardware: OvfHardware) -> str:
    features = " --guest-os-features UEFI_COMPATIBLE" if hardware.uefi else ""
    return f"gcloud compute images create {name} --source-uri gs://…/{file}{features}"


def on_kubevirt(file: str, name: str, tag: str, hardware: OvfHardware) -> str:
    """KubeVirt's UEFI has secure boot unless it is told not to."""
    efi = f"; in the VirtualMachine firmware.bootloader.efi.secureBoot: {str(hardware.secure_boot).lower()}"
    return (
        f"skopeo copy oci-archive:{file}:{tag} docker://registry.example/{name}:{tag}{efi if hardware.uefi else ''}"
        "; disk and interface: virtio"
    )
