/* program.S: the program's ELF file inside the kernel's image. USER_ELF_PATH is its path, given by the build. */
.section .rodata
.balign 16
.globl program, program_end
program:
  .incbin USER_ELF_PATH
program_end:
.balign 16
