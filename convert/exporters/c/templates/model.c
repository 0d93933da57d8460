
/* The model '$title': $target_scheme. */

#define NAME(stem) GATELET_NAME(${prefix}_##stem)

/* What the exporter has reckoned with. */
$assertions

static const unsigned char weights_head[GATELET_HEAD_BYTES] = {$weights_head};

int NAME(check)(const void *weights, size_t bytes) {
    return bytes == ${PREFIX}_WEIGHTS_BYTES && gatelet_is_own(weights, weights_head)
               ? ${PREFIX}_OK
               : ${PREFIX}_BAD_WEIGHTS;
}
