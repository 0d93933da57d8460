
extern const struct gatelet_library ${prefix}_${form}library_plain, ${prefix}_${form}library_v2,
    ${prefix}_${form}library_v3, ${prefix}_${form}library_v4;

GATELET_EXPORT const struct gatelet_library *$function(int32_t level) {
    const struct gatelet_library *const tables[] = {
        &${prefix}_${form}library_plain, &${prefix}_${form}library_v2,
        &${prefix}_${form}library_v3, &${prefix}_${form}library_v4};
    return choose(tables, level);
}
