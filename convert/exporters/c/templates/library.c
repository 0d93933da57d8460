
/* For bindings; of pieces of a sequence the states are inputs and outputs too. */
static const char ${form}description[] = $description;

const struct gatelet_library NAME(${form}library) = {
    .abi = $abi, .description = ${form}description, .weights_bytes = ${PREFIX}_WEIGHTS_BYTES,
    .check = NAME(check), .scratch_bytes = NAME(${form}scratch_bytes),
    .output_shape = NAME(${form}output_shape), .run = NAME(${form}run), .ids_of_text = $ids_of_text};

#if defined(GATELET_ONE_LEVEL)
GATELET_EXPORT const struct gatelet_library *$opens(int32_t level) {
    return level <= 0 ? &NAME(${form}library) : NULL;
}
#endif
