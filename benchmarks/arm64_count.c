/* A plugin of QEMU's user mode that counts instructions, and writes their number at the end.
 *
 * For one thread: arm64_kernels.py loads it. The functions are QEMU's (qemu-plugin.h, version 1),
 * declared here because Debian brings no header; a block of code counts when it is entered. */
#include <stddef.h>
#include <stdint.h>

extern void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*call)(uint64_t, void *));
extern size_t qemu_plugin_tb_n_insns(const void *block);
extern void qemu_plugin_register_vcpu_tb_exec_inline(void *block, int operation, void *number,
                                                     uint64_t added);
extern void qemu_plugin_register_atexit_cb(uint64_t id, void (*call)(uint64_t, void *),
                                           void *given);
extern void qemu_plugin_outs(const char *text);

enum { ADD_U64 = 0 };

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static uint64_t instructions;

static void translated(uint64_t id, void *block) {
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &instructions,
                                             qemu_plugin_tb_n_insns(block));
}

static void ended(uint64_t id, void *given) {
    char text[32];
    size_t place = sizeof text;
    (void)id;
    (void)given;
    text[--place] = 0;
    text[--place] = '\n';
    for (uint64_t left = instructions; left || place == sizeof text - 2; left /= 10) {
        text[--place] = (char)('0' + left % 10);
    }
    qemu_plugin_outs(text + place);
}

__attribute__((visibility("default"))) int qemu_plugin_install(uint64_t id, const void *about,
                                                               int count, char **words) {
    (void)about;
    (void)count;
    (void)words;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
