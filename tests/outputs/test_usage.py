"""What is printed on how to start a file fits the machine that is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.outputs import usage
from factory.outputs.driver_needs import driver_needs
from factory.outputs.export import parse_request
from factory.outputs.hardware import OvfHardware

pytestmark = pytest.mark.unit

BIOS, UEFI = OvfHardware(), OvfHardware(uefi=True)
SECURE = OvfHardware(uefi=True, secure_boot=True)


def test_hyper_v_gets_the_generation_of_the_firmware() -> None:
    bios, uefi, secure = (usage.on_hyper_v("vm", h) for h in (BIOS, UEFI, SECURE))
    assert "-Generation 1 " in bios
    assert "Set-VMFirmware" not in bios, "there is none in generation 1"
    assert "-Generation 2 " in uefi
    assert "-EnableSecureBoot Off" in uefi
    assert "-SecureBootTemplate MicrosoftUEFICertificateAuthority" in secure


def test_clouds_are_told_of_uefi() -> None:
    assert "--hyper-v-generation V1" in usage.on_azure("x.vhd", BIOS)
    assert "--hyper-v-generation V2" in usage.on_azure("x.vhd", UEFI)
    assert "UEFI_COMPATIBLE" in usage.on_google("x.tar.gz", "x", UEFI)
    assert "UEFI" not in usage.on_google("x.tar.gz", "x", BIOS)
    assert "efi.secureBoot: false" in usage.on_kubevirt("x.tar", "x", "1", UEFI)
    assert "efi.secureBoot: true" in usage.on_kubevirt("x.tar", "x", "1", SECURE)
    assert "efi" not in usage.on_kubevirt("x.tar", "x", "1", BIOS)


def test_kvm_gets_the_bus_and_the_card_that_are_looked_for() -> None:
    assert {n.modules[0] for n in driver_needs(parse_request("qcow2"))} == {"virtio_pci", "virtio_blk", "virtio_net"}
    for hardware in (BIOS, UEFI, SECURE):
        said = usage.on_kvm("vm", hardware, None, "")
        assert "path={path},bus=virtio --network default,model=virtio" in said
        assert "-nic user,model=virtio-net-pci" in said
        assert ("--boot uefi" in said) == hardware.uefi
        assert ("-bios OVMF.fd" in said) == hardware.uefi
    own = usage.on_kvm("vm", SECURE, Path("/firmware/CODE.secboot.fd"), "vm-vars.fd")
    assert "-machine q35,smm=on -drive if=pflash,format=raw,unit=0,readonly=on,file=/firmware/CODE.secboot.fd" in own


@pytest.mark.parametrize("adapter", ["lsilogic", "pvscsi", "ide"])
def test_a_vmdk_alone_says_controller_card_and_firmware(adapter: str) -> None:
    said = usage.on_vmware(adapter, UEFI)
    assert "UEFI" in said
    assert "BIOS" in usage.on_vmware(adapter, BIOS)
    (card,) = (n.modules[0] for n in driver_needs(parse_request("vmdk", {"adapter": adapter})) if n.what == "network")
    assert card in said.lower().replace(" ", "")


def test_virtualbox_is_told_of_the_firmware_that_it_does_not_read() -> None:
    assert "modifyvm vm --firmware efi" in usage.of_ova("vm.ova", "vm", UEFI)
    assert "modifyvm" not in usage.of_ova("vm.ova", "vm", BIOS)
