
/* The same for pieces of a sequence: states are further inputs and outputs. */
static const char step_description[] = $step_description;

const struct gatelet_library NAME(step_library) = {
    GATELET_ABI, step_description, ${PREFIX}_WEIGHTS_BYTES, NAME(check), NAME(step_scratch_bytes),
    NAME(step_output_shape), NAME(step_run), NULL};

#if defined(GATELET_ONE_LEVEL)
GATELET_EXPORT const struct gatelet_library *gatelet_open_steps(int32_t level) {
    return level <= 0 ? &NAME(step_library) : NULL;
}
#endif
