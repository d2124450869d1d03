/* Pods: the names that a revision's worker goes by. The name is made of service and revision alone, so that it is the
 * same after a restart of the daemon. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/siphash.h"
#include "core/control/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct pod *pod_free(struct pod *pod)
{
    if (pod == NULL)
        return NULL;
    ring_log_unref(pod->log);
    free(pod->container);
    free(pod->image);
    free(pod);
    return NULL;
}

struct pod *pod_find(struct service *service, uint32_t revision)
{
    for (struct pod *pod = service->pods; pod != NULL; pod = pod->next)
        if (pod->revision == revision)
            return pod;
    return NULL;
}

/* NAME-predictor-0000N-deployment-HASH-XXXXX, in Kubernetes' alphabet without vowels. */
static void name_pod(struct pod *pod, const struct catalog_service *desired)
{
    static const struct siphash_key fixed = {0};
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
    char identity[512], suffix[6];
    snprintf(pod->revision_name, sizeof pod->revision_name, "%.60s-predictor-%05" PRIu32, desired->resource->name,
        pod->revision);
    int length = snprintf(identity, sizeof identity, "Pod/%s/%s", desired->uid, pod->revision_name);
    struct siphash128 hash = siphash128(&fixed, identity, (size_t)length);
    uint64_t rest = hash.high;
    for (int i = 0; i < 5; i++, rest /= sizeof letters - 1)
        suffix[i] = letters[rest % (sizeof letters - 1)];
    suffix[5] = '\0';
    snprintf(pod->name, sizeof pod->name, "%s-deployment-%010" PRIx64 "-%s", pod->revision_name,
        hash.low & 0xFFFFFFFFFF, suffix);
    snprintf(pod->uid, sizeof pod->uid, "%08" PRIx64 "-%04" PRIx64 "-8%03" PRIx64 "-a%03" PRIx64 "-%012" PRIx64,
        hash.high >> 32, hash.high >> 16 & 0xFFFF, hash.high & 0xFFF, hash.low >> 48 & 0xFFF,
        hash.low & 0xFFFFFFFFFFFF);
}

struct pod *pod_new(struct service *service, pdk_error *err)
{
    const struct catalog_service *desired = service->desired;
    struct pod *pod = calloc(1, sizeof *pod);
    if (pod != NULL) {
        pod->revision = desired->revision;
        pod->created = wall_seconds();
        pod->log = ring_log_new();
        pod->container = container_json(desired->plan);
        pod->image = strdup(desired->plan->image);
    }
    if (pod == NULL || pod->log == NULL || pod->container == NULL || pod->image == NULL) {
        pod_free(pod);
        pdk_error_set(err, PDK_NO_MEMORY, "worker", "no memory to start a worker");
        return NULL;
    }
    name_pod(pod, desired);
    pod->next = service->pods;
    service->pods = pod;
    return pod;
}

static bool is_used(const struct service *service, const struct pod *pod)
{
    for (size_t i = 0; i < service->replica_count; i++)
        if (service->replicas[i]->pod == pod)
            return true;
    return service->desired != NULL && service->desired->revision == pod->revision;
}

void pod_prune(struct service *service)
{
    for (struct pod **at = &service->pods; *at != NULL;) {
        struct pod *pod = *at;
        if (is_used(service, pod)) {
            at = &pod->next;
            continue;
        }
        *at = pod->next;
        pod_free(pod);
    }
}

void pod_free_all(struct service *service)
{
    while (service->pods != NULL) {
        struct pod *next = service->pods->next;
        pod_free(service->pods);
        service->pods = next;
    }
}
