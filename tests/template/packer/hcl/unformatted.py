"""A file in nobody's style, and the same in the canonical one. Packer's own ``fmt`` is asked in the machine tier."""

UNFORMATTED = r"""
# comment
source "qemu"   "x"{
 a=1
    long_name   =   "v${ var.x }-${upper( var.y )}"   # trailing
 b = [1,2 ,3] // other
   list = [
 "a",
     "b", # why
  {k=1,  l : 2},
 ]
   object={ a=1 , b =2 }
 empty = {}
   text = <<-EOT
      kept   as it is ${ var.x }
  EOT
 cond = var.a?-1:! var.b
 minus = 3-  -2 + (1 -x)
 for = [ for x in [1,2] : x if x>1 ]
 obj = {for k,v in var.m:k=>v...}
 call = f( [ { a = 1 } ] ... )
 blank = upper ( "x" )
 index = var.a [ 0 ] . b[ * ].c
  nested{
x =1
  }
 one { x = 1 }
}


build{
sources=["source.qemu.x"]

   provisioner "shell" {
      inline=["a"]
         environment_vars=[
        "A=1"
     ]
   }
}
/* block
   comment */
last = 1
"""
FORMATTED = r"""
# comment
source "qemu" "x" {
  a         = 1
  long_name = "v${var.x}-${upper(var.y)}" # trailing
  b         = [1, 2, 3]                   // other
  list = [
    "a",
    "b", # why
    { k = 1, l : 2 },
  ]
  object = { a = 1, b = 2 }
  empty  = {}
  text   = <<-EOT
      kept   as it is ${var.x}
  EOT
  cond   = var.a ? -1 : !var.b
  minus  = 3 - -2 + (1 - x)
  for    = [for x in [1, 2] : x if x > 1]
  obj    = { for k, v in var.m : k => v... }
  call   = f([{ a = 1 }]...)
  blank  = upper("x")
  index  = var.a[0].b[*].c
  nested {
    x = 1
  }
  one { x = 1 }
}


build {
  sources = ["source.qemu.x"]

  provisioner "shell" {
    inline = ["a"]
    environment_vars = [
      "A=1"
    ]
  }
}
/* block
   comment */
last = 1
"""
