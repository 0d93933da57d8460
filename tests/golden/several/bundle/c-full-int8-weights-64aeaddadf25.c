/* The weights of 'several' (c full-int8) as const arrays, for a program without files:
 * cc -c this, in the bundle's folder. They are read at compile time, so it takes a moment only; of
 * two arrays a linker that is given --gc-sections leaves out the one that nobody names. */
#if defined(__APPLE__)
#define ARRAY(name, file) \
    __asm__(".const\n.globl _" name "\n.p2align 6\n_" name ":\n.incbin \"" file "\"\n.text\n")
#else
#define ARRAY(name, file) \
    __asm__(".section .rodata." name ",\"a\"\n.globl " name "\n.balign 64\n" name ":\n" \
            ".incbin \"" file "\"\n.text\n")
#endif

ARRAY("several_weights", "c-full-int8-2f33f4d169b3.bin");
