"""Templates and what ``inspect`` says of them."""

HCL = """
variable "x" {
  default     = "def"
  description = "d"
}
variable "secret" {
  default   = "s3cr3t"
  sensitive = true
}
variable "l" {
  default = ["a", 1]
}
variable "n" {
  type    = string
  default = null
}
locals {
  a = "a${var.x}"
  o = { k = [1, true], z = "x" }
}
source "null" "n" {
  communicator = "none"
}
source "null" "m" {
  communicator = "none"
}
build {
  name        = "nm"
  description = "desc"
  sources     = ["source.null.n", "source.null.m"]
  provisioner "shell-local" {
    inline = ["true"]
  }
  provisioner "shell-local" {
    name   = "named"
    inline = ["true"]
  }
  post-processor "manifest" {}
  post-processors {
    post-processor "manifest" {}
    post-processor "shell-local" {
      inline = ["a"]
    }
  }
}
build {
  sources = ["source.null.n"]
}
"""
HCL_TEXT = """Packer Inspect: HCL2 mode

> input-variables:

var.l: "[\\n  \\"a\\",\\n  1,\\n]"
var.n: "null"
var.secret: "<sensitive>"
var.x: "def"

> local-variables:

local.a: "adef"
local.o: "{\\n  \\"k\\" = [\\n    1,\\n    true,\\n  ]\\n  \\"z\\" = \\"x\\"\\n}"

> builds:

  > nm:

  > Description: desc

    sources:

      null.n

      null.m

    provisioners:

      shell-local
      shell-local.named

    post-processors:

      0:
        manifest

      1:
        manifest
        shell-local

  > <unnamed build 1>:

    sources:

      null.n

    provisioners:

      <no provisioner>

    post-processors:

      <no post-processor>
"""
JSON = {
    "description": "the desc",
    "variables": {"a": "x", "req": None, "long": "q"},
    "sensitive-variables": ["long"],
    "builders": [
        {"type": "null", "communicator": "none"},
        {"type": "null", "name": "other", "communicator": "none"},
    ],
    "provisioners": [{"type": "shell-local", "inline": ["a"]}],
}
JSON_TEXT = """Packer Inspect: JSON mode
Description:

the desc

Required variables:

  req

Optional variables and their defaults:

  a    = x
  long = <sensitive>

Builders:

  null
  other (null)

Provisioners:

  shell-local

Note: If your build names contain user variables or template
functions such as 'timestamp', these are processed at build time,
and therefore only show in their raw form here.
"""
