
/* What JavaScript calls: form 0 runs whole sequences, form 1 pieces of them. All addresses are of
 * the one memory, which its caller divides from gatelet_heap() on. */
#define GATELET_CALLED(name) __attribute__((export_name(name), visibility("default")))

extern unsigned char __heap_base;

static const struct gatelet_library *const forms[] = {$forms};

GATELET_CALLED("heap") const void *gatelet_heap(void) { return &__heap_base; }

GATELET_CALLED("forms") int32_t gatelet_forms(void) {
    return (int32_t)(sizeof forms / sizeof forms[0]);
}

GATELET_CALLED("description") const char *gatelet_description(int32_t form) {
    return forms[form]->description;
}

GATELET_CALLED("check") int gatelet_check(const void *weights, size_t bytes) {
    return forms[0]->check(weights, bytes);
}

GATELET_CALLED("scratch") size_t gatelet_scratch(int32_t form, int32_t rows, const int32_t *sizes) {
    return forms[form]->scratch_bytes(rows, sizes);
}

GATELET_CALLED("shape")
int32_t gatelet_shape(int32_t form, int32_t output, int32_t rows, const int32_t *sizes,
                      int32_t *shape) {
    return forms[form]->output_shape(output, rows, sizes, shape);
}

GATELET_CALLED("run")
int gatelet_run(int32_t form, const void *weights, const void *const *inputs, const int32_t *sizes,
                int32_t rows, float *const *outputs, void *scratch) {
    return forms[form]->run(weights, inputs, sizes, rows, outputs, scratch);
}
$texts
