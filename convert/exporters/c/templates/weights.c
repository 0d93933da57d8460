/* The weights of '$title' ($target_scheme) as a const array, for a program without files:
 * cc -c this, in the bundle's folder. It is read at compile time, so it takes a moment only. */
#if defined(__APPLE__)
__asm__(".const\n.globl _${prefix}_weights\n.p2align 6\n_${prefix}_weights:\n"
        ".incbin \"$weights_name\"\n.text\n");
#else
__asm__(".section .rodata\n.globl ${prefix}_weights\n.balign 64\n${prefix}_weights:\n"
        ".incbin \"$weights_name\"\n.text\n");
#endif
