/* Documents, then runtimes, then places on disk, then the machine's share; each step may refuse one service without the
 * others. */
#include "config.h"

#include "core/control/catalog.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/base/siphash.h"
#include "core/control/admission.h"
#include "core/control/location.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, READABLE_MAX = 6 };

static pdk_status out_of_memory(pdk_error *err)
{
    return pdk_error_set(err, PDK_NO_MEMORY, "services", "no memory for the services");
}

struct catalog *catalog_free(struct catalog *catalog)
{
    if (catalog == NULL)
        return NULL;
    for (size_t i = 0; i < catalog->count; i++) {
        struct catalog_service *service = &catalog->services[i];
        plan_free(service->plan);
        buffer_done(&service->path);
        text_list_done(&service->readable);
        buffer_done(&service->plugin);
        buffer_done(&service->load);
    }
    free(catalog->services);
    resource_set_done(&catalog->set);
    buffer_done(&catalog->warnings);
    free(catalog);
    return NULL;
}

void catalog_freep(struct catalog **catalog)
{
    catalog_free(*catalog);
}

static pdk_status read_documents(const struct control_config *config, struct resource_set *set, pdk_error *err)
{
    const struct {
        const char *root, *folder;
        unsigned layer;
    } places[] = {{config->shipped, "runtimes.d", 0}, {config->etc, "runtimes.d", 1}, {config->etc, "models.d", 1}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char folder[PATH_BYTES];
        if ((size_t)snprintf(folder, sizeof folder, "%s/%s", places[i].root, places[i].folder) >= sizeof folder)
            return pdk_error_set(err, PDK_INVALID, "etc", "path too long: %.200s", places[i].root);
        pdk_status status = resource_set_read_folder(set, folder, places[i].layer, err);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

/* Of what a replica is made of; shares of the machine and resolved paths are left out, since they change by themselves.
 */
static void hash_plan(const struct plan *plan, struct buffer *text)
{
    buffer_printf(text, "%s\n%s\n%s\n%s\n%s\n", plan->plugin, plan->protocol != NULL ? plan->protocol : "",
        plan->storage_uri != NULL ? plan->storage_uri : "", plan->model_id != NULL ? plan->model_id : "",
        plan->layout != NULL ? plan->layout : "");
    buffer_printf(text, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", plan->cpu_request, plan->cpu_limit,
        plan->memory_request, plan->memory_limit);
    for (size_t i = 0; i < plan->arguments.count; i++)
        buffer_printf(text, "%zu %s\n", strlen(plan->arguments.items[i]), plan->arguments.items[i]);
    buffer_putc(text, '\n');
    for (size_t i = 0; i < plan->environment.count; i++)
        buffer_printf(text, "%zu %s\n", strlen(plan->environment.items[i]), plan->environment.items[i]);
}

static pdk_status number_service(struct catalog_service *service, struct revisions *revisions, pdk_error *err)
{
    static const struct siphash_key fixed = {0};
    PDK_CLEANUP(buffer_done) struct buffer spec = {0};
    PDK_CLEANUP(buffer_done) struct buffer template = {0};
    json_print(&spec, json_get(service->resource->root, "spec"));
    if (service->plan != NULL)
        hash_plan(service->plan, &template);
    else
        buffer_put(&template, spec.data, spec.length);
    if (spec.failed || template.failed)
        return out_of_memory(err);
    snprintf(service->key, sizeof service->key, "%s/%s", service->resource->namespace_, service->resource->name);
    const struct revision_row *row;
    pdk_status status = revisions_note(revisions, service->key, siphash64(&fixed, spec.data, spec.length),
        siphash64(&fixed, template.data, template.length), wall_seconds(), &row, err);
    if (status != PDK_OK)
        return status;
    service->revision = row->revision;
    service->generation = row->generation;
    service->created = row->created;
    char identity[512];
    int length = snprintf(identity, sizeof identity, "InferenceService/%s/%" PRId64, service->key, service->created);
    struct siphash128 hash = siphash128(&fixed, identity, (size_t)length);
    /* An UUID of version 8: bits of our own making. */
    snprintf(service->uid, sizeof service->uid, "%08" PRIx64 "-%04" PRIx64 "-8%03" PRIx64 "-a%03" PRIx64 "-%012" PRIx64,
        hash.high >> 32, hash.high >> 16 & 0xFFFF, hash.high & 0xFFF, hash.low >> 48 & 0xFFF,
        hash.low & 0xFFFFFFFFFFFF);
    return PDK_OK;
}

/* " (plugins here: a, b; did you mean 'a'?)" */
static void put_plugins(const char *folder, const char *wanted, struct buffer *out)
{
    DIR *entries = opendir(folder);
    struct nearest nearest = nearest_to(wanted);
    char best[64] = "";
    buffer_puts(out, "plugins here:");
    const char *comma = " ";
    for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
        size_t length = strlen(entry->d_name);
        if (length <= 3 || length >= sizeof best + 3 || strcmp(entry->d_name + length - 3, ".so") != 0)
            continue;
        entry->d_name[length - 3] = '\0';
        size_t before = nearest.distance;
        nearest_offer(&nearest, entry->d_name);
        if (nearest.distance < before) {
            snprintf(best, sizeof best, "%.63s", entry->d_name);
            nearest.best = best; /* the entry goes away */
        }
        buffer_printf(out, "%s%s", comma, entry->d_name);
        comma = ", ";
    }
    if (entries != NULL)
        closedir(entries);
    buffer_printf(out, "%s%s", *comma == ' ' ? " none" : "", nearest_hint(&nearest));
}

static void find_plugin(const struct control_config *config, struct catalog_service *service)
{
    buffer_printf(&service->plugin, "%s/%s.so", config->runtimes, service->plan->plugin);
    if (service->plugin.failed || access(service->plugin.data, R_OK) == 0)
        return;
    service->reason = REASON_NO_SUPPORT;
    if (errno != ENOENT) {
        pdk_error_errno(&service->refused, errno, "image", "runtime %s: cannot read the plugin %s",
            service->plan->runtime->name, service->plugin.data);
        return;
    }
    PDK_CLEANUP(buffer_done) struct buffer names = {0};
    put_plugins(config->runtimes, service->plan->plugin, &names);
    pdk_error_value(&service->refused, PDK_NOT_FOUND, "image", service->plan->image,
        "runtime %s wants the plugin %s.so, which is not in %s (%s)", service->plan->runtime->name,
        service->plan->plugin, config->runtimes, names.data);
}

static void find_model(const struct control_config *config, struct catalog_service *service)
{
    char aliases[2][PATH_BYTES];
    snprintf(aliases[0], sizeof aliases[0], "%s/model-aliases.conf", config->etc);
    snprintf(aliases[1], sizeof aliases[1], "%s/model-aliases.conf", config->shipped);
    struct location_roots roots = {.state = config->state, .aliases = {aliases[0], aliases[1]}};
    pdk_status found = location_find(service->plan, &roots, &service->path, &service->refused);
    if (found != PDK_OK)
        service->reason = service->refused.status == PDK_INVALID || service->refused.status == PDK_UNSUPPORTED
                              ? REASON_SPEC
                              : REASON_LOAD;
    else
        service->refused = (pdk_error){0};
    if (found == PDK_OK && service->path.length == 0)
        buffer_puts(&service->path, "/dev/null");
}

/* --tokenizer=/PATH and the like. */
static void find_readable(struct catalog_service *service)
{
    for (size_t i = 0; i < service->plan->arguments.count && service->readable.count < READABLE_MAX; i++) {
        const char *argument = service->plan->arguments.items[i], *equals = strchr(argument, '=');
        const char *value = argument[0] != '/' && equals != NULL ? equals + 1 : argument;
        if (value[0] == '/' && access(value, R_OK) == 0)
            text_list_add(&service->readable, value); /* without memory the plugin will say that it cannot read it */
    }
}

/* /mnt/models is where a cluster mounts the model; here it is in place. */
static void write_argument(struct json_writer *w, const char *argument, const struct buffer *path)
{
    static const char mount[] = "/mnt/models";
    const char *at = strstr(argument, mount);
    bool starts = at != NULL && (at == argument || at[-1] == '=');
    char after = at != NULL ? at[sizeof mount - 1] : '\0';
    if (!starts || (after != '\0' && after != '/')) {
        json_write_string(w, argument);
        return;
    }
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    buffer_put(&text, argument, (size_t)(at - argument));
    buffer_printf(&text, "%s%s", path->data, at + sizeof mount - 1);
    json_write_text(w, text.data, text.length);
}

static void write_load(struct catalog_service *service)
{
    struct json_writer w = {.out = &service->load};
    json_write_object(&w);
    json_write_key(&w, "name");
    json_write_string(&w, service->resource->name);
    json_write_key(&w, "path");
    json_write_string(&w, service->path.data);
    json_write_key(&w, "arguments");
    json_write_array(&w);
    for (size_t i = 0; i < service->plan->arguments.count; i++)
        write_argument(&w, service->plan->arguments.items[i], &service->path);
    json_write_end_array(&w);
    json_write_key(&w, "environment");
    json_write_array(&w);
    for (size_t i = 0; i < service->plan->environment.count; i++)
        json_write_string(&w, service->plan->environment.items[i]);
    json_write_end_array(&w);
    json_write_end_object(&w);
}

static int by_age(const void *a, const void *b)
{
    const struct catalog_service *x = a, *y = b;
    if (x->created != y->created)
        return x->created < y->created ? -1 : 1;
    return strcmp(x->key, y->key);
}

/* Cuts a service's threads to what its environment says. */
static void bind_service(const struct machine *machine, struct catalog_service *service)
{
    struct binding *binding = &service->binding;
    pdk_status status = binding_read(&service->plan->environment, binding, &service->refused);
    if (status == PDK_OK && binding->bound) {
        CPU_AND(&binding->cpus, &binding->cpus, &machine->allowed);
        uint32_t count = (uint32_t)CPU_COUNT(&binding->cpus);
        if (count == 0)
            pdk_error_set(&service->refused, PDK_INVALID, "VLLM_CPU_OMP_THREADS_BIND",
                "VLLM_CPU_OMP_THREADS_BIND names no processor that is there for paddockd");
        else if (binding->threads == 0 || count < binding->threads)
            binding->threads = count;
    }
    if (service->refused.status != PDK_OK)
        service->reason = REASON_SPEC;
    else if (binding->threads != 0 && binding->threads < service->threads)
        service->threads = binding->threads;
}

static pdk_status share_machine(struct catalog *catalog, pdk_error *err)
{
    PDK_AUTO_FREE struct admission *rows = calloc(catalog->count + 1, sizeof *rows);
    if (rows == NULL)
        return out_of_memory(err);
    for (size_t i = 0; i < catalog->count; i++)
        if (catalog->services[i].refused.status == PDK_OK && !catalog->services[i].stopped)
            rows[i].plan = catalog->services[i].plan;
    struct machine machine = machine_read();
    admit(&machine, rows, catalog->count, &catalog->warnings);
    for (size_t i = 0; i < catalog->count; i++) {
        struct catalog_service *service = &catalog->services[i];
        service->threads = rows[i].threads;
        service->memory_bytes = rows[i].memory_bytes;
        if (rows[i].refused.status != PDK_OK) {
            service->refused = rows[i].refused;
            service->reason = REASON_SPEC;
        } else if (rows[i].plan != NULL) {
            bind_service(&machine, service);
            write_load(service);
        }
    }
    return PDK_OK;
}

static pdk_status make_services(
    const struct control_config *config, struct catalog *catalog, struct revisions *revisions, pdk_error *err)
{
    catalog->services = calloc(catalog->set.count + 1, sizeof *catalog->services);
    if (catalog->services == NULL)
        return out_of_memory(err);
    for (size_t i = 0; i < catalog->set.count; i++) {
        if (catalog->set.items[i].kind->resource != RESOURCE_INFERENCE_SERVICE)
            continue;
        struct catalog_service *service = &catalog->services[catalog->count++];
        service->resource = &catalog->set.items[i];
        const char *stop = resource_meta(service->resource, "annotations", "serving.kserve.io/stop");
        service->stopped = stop != NULL && strcmp(stop, "true") == 0;
        const char *reason = NULL;
        pdk_status status =
            plan_new(&catalog->set, service->resource, &catalog->warnings, &service->plan, &reason, &service->refused);
        if (status == PDK_NO_MEMORY)
            return out_of_memory(err);
        if (status != PDK_OK)
            service->reason = reason;
        else
            service->refused = (pdk_error){0}; /* a step that was recovered from may have left its words */
        if (service->refused.status == PDK_OK)
            find_plugin(config, service);
        if (service->refused.status == PDK_OK)
            find_model(config, service);
        if (service->refused.status == PDK_OK)
            find_readable(service);
        status = number_service(service, revisions, err);
        if (status != PDK_OK)
            return status;
        snprintf(service->host, sizeof service->host, "%s.%s.%s", service->resource->name,
            service->resource->namespace_, config->domain);
    }
    qsort(catalog->services, catalog->count, sizeof *catalog->services, by_age);
    return share_machine(catalog, err);
}

pdk_status catalog_read(
    const struct control_config *config, struct revisions *revisions, struct catalog **ret_catalog, pdk_error *err)
{
    PDK_CLEANUP(catalog_freep) struct catalog *catalog = calloc(1, sizeof *catalog);
    if (catalog == NULL)
        return out_of_memory(err);
    pdk_status status = read_documents(config, &catalog->set, err);
    if (status != PDK_OK)
        return status;
    if (catalog->set.warnings.length != 0)
        buffer_put(&catalog->warnings, catalog->set.warnings.data, catalog->set.warnings.length);
    status = make_services(config, catalog, revisions, err);
    if (status != PDK_OK)
        return status;
    for (size_t i = 0; i < catalog->count; i++)
        if (catalog->services[i].load.failed || catalog->services[i].path.failed || catalog->services[i].plugin.failed)
            return out_of_memory(err);
    *ret_catalog = PDK_STEAL(catalog);
    return PDK_OK;
}
