/* The plugin's one symbol and its table of ops. */
#include "config.h"

#include "plugins/cpu/tables.h"

#include "core/base/cpu.h"
#include "core/base/error.h"
#include "plugins/cpu/team.h"

#include <cblas.h>
#include <stdlib.h>

const pdk_ops cpu_ops = {
    .size = sizeof(pdk_ops),
    .weight_bytes = weight_bytes,
    .weight_load = weight_load,
    .weight_free = weight_free,
    .vector_load = vector_load,
    .vector_free = vector_free,
    .rows_new = rows_new,
    .rows_free = rows_free,
    .rows_read = rows_read,
    .rows_write = rows_write,
    .kv_block_bytes = kv_block_bytes,
    .kv_new = kv_new,
    .kv_free = kv_free,
    .queue_new = queue_new,
    .queue_free = queue_free,
    .queue_begin = queue_begin,
    .queue_submit = queue_submit,
    .queue_wait = queue_wait,
    .embed = queue_embed,
    .norm = queue_norm,
    .linear = queue_linear,
    .rope_kv = queue_rope_kv,
    .attention = queue_attention,
    .head = queue_head,
    .sample = queue_sample,
    .kv_copy = queue_kv_copy,
    .gemm = cpu_gemm,
    .route = queue_route,
    .experts_up = queue_experts_up,
    .experts_down = queue_experts_down,
    .latent_kv = queue_latent_kv,
    .latent_attention = queue_latent_attention,
};

static int32_t cpu_score(void)
{
    return 100;
}

/* The widest instruction set that machine and build have; PADDOCK_ISA lowers it. PDK_INVALID: it names none. */
static pdk_status choose_kernels(const struct kernels **ret_kernels, pdk_error *err)
{
    uint32_t features = cpu_features();
    enum kernel_isa isa = (features & CPU_AVX512) != 0 ? KERNEL_ISA_AVX512 : KERNEL_ISA_GENERIC;
    if (isa == KERNEL_ISA_GENERIC && (features & CPU_AVX2) != 0)
        isa = KERNEL_ISA_AVX2;
    const char *wanted = getenv("PADDOCK_ISA");
    if (wanted != NULL && wanted[0] != '\0') {
        enum kernel_isa named;
        if (!kernels_isa_named(wanted, &named))
            return pdk_error_value(err, PDK_INVALID, "PADDOCK_ISA", wanted,
                "no instruction set of this build; it has generic, avx2, avx512");
        isa = named < isa ? named : isa;
    }
    *ret_kernels = kernels_of(isa);
    return PDK_OK;
}

static void cpu_done(void *self)
{
    struct backend *backend = self;
    team_free(backend->team);
    free(backend);
}

static pdk_status cpu_init(const pdk_compute_config *config, void **ret_self, pdk_error *err)
{
    if (config->threads == 0 || config->threads > TEAM_THREADS_MAX)
        return pdk_error_set(
            err, PDK_INVALID, "threads", "%u threads; 1 to %d are possible", config->threads, TEAM_THREADS_MAX);
    const struct kernels *kernels = NULL;
    pdk_status status = choose_kernels(&kernels, err);
    if (status != PDK_OK)
        return status;
    struct backend *backend = calloc(1, sizeof *backend);
    struct team *team = team_new(config->threads);
    if (backend == NULL || team == NULL) {
        free(backend);
        team_free(team);
        return pdk_error_set(err, PDK_NO_MEMORY, "cpu", "out of memory");
    }
    backend->kernels = kernels;
    backend->team = team;
    backend->memory_limit = config->memory_bytes;
    openblas_set_num_threads(1);
    *ret_self = backend;
    return PDK_OK;
}

static const void *cpu_get_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, PDK_EXT_OPS) == 0 ? &cpu_ops : NULL;
}

const pdk_compute pdk_compute_entry = {
    .size = sizeof(pdk_compute),
    .abi_major = PDK_COMPUTE_ABI_MAJOR,
    .abi_minor = PDK_COMPUTE_ABI_MINOR,
    .name = "cpu",
    .description = "x86-64 and other processors, in threads of its own",
    .score = cpu_score,
    .init = cpu_init,
    .get_extension = cpu_get_extension,
    .done = cpu_done,
};
