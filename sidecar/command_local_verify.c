/* command_local_verify.c - `ailive local-verify`: activity demo, proof, and what an operator files away.
 *
 * Place on the route: beside it: activity and proof, then [local-verify] -> .local_tmp/ai_live_local_verify_
 * STAMP/. One thread. The proof decides the exit status; the manifest is written last and covers every other
 * file.
 */
#include "activity.h"
#include "command.h"
#include "config.h"
#include "digest.h"
#include "key_scan.h"
#include "proof.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ERROR_BYTES   1024u
#define MANIFEST_FILE "MANIFEST_SHA256.txt"

static const char help[] =
    "Usage: ailive local-verify [OPTIONS]\n"
    "The two-event demo when the exporter answers, then the proof, then an operator's note, a\n"
    "SHA-256 manifest, a scan for key material (secrets masked) and the newest evidence folders.\n"
    "\n"
    "  --prom-url URL      default $PROM_URL, else " PROOF_PROM_URL_DEFAULT "\n"
    "  --exporter-url URL  default $EXPORTER_URL, else " PROOF_EXPORTER_URL_DEFAULT "\n"
    "  --grafana-url URL   asked for its health only if given\n"
    "  --wait-s S          as of ailive verify (default 20)\n"
    "  --out DIR           default .local_tmp/ai_live_local_verify_STAMP\n"
    "  --help, --version\n"
    "\n"
    "$RUN_ID, $COMPONENT, $PROM_URL and $EXPORTER_URL are honoured; $PY_CMD is accepted and not\n"
    "needed. Exit status: that of the proof: 0 every check holds, 1 not, 2 wrong usage.\n";

enum {
    OPTION_PROM_URL = 256,
    OPTION_EXPORTER_URL,
    OPTION_GRAFANA_URL,
    OPTION_WAIT,
    OPTION_OUT
};

static const struct option options[] = {{"prom-url", required_argument, 0, OPTION_PROM_URL},
                                        {"exporter-url", required_argument, 0, OPTION_EXPORTER_URL},
                                        {"grafana-url", required_argument, 0, OPTION_GRAFANA_URL},
                                        {"wait-s", required_argument, 0, OPTION_WAIT},
                                        {"out", required_argument, 0, OPTION_OUT},
                                        COMMAND_COMMON_OPTIONS,
                                        {0, 0, 0, 0}};

/* The folders that this program leaves, newest last by name: the stamp sorts. */
static const char *const kinds[] = {"ai_live_local_verify", "ai_live_ops_verify", "ai_live_activity_demo"};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct run {
    struct proof_options wanted;
    const char *out;
    struct evidence own;
    struct activity activity;
    bool active; /* the demo ran and left its folder */
    struct proof proof;
    int status; /* of the proof, as an exit status */
    struct buffer text;
    char error[ERROR_BYTES];
};

static int take_option(struct run *run, int option, const char *value)
{
    switch (option) {
    case OPTION_PROM_URL:
        run->wanted.prom_url = value;
        return COMMAND_OK;
    case OPTION_EXPORTER_URL:
        run->wanted.exporter_url = value;
        return COMMAND_OK;
    case OPTION_GRAFANA_URL:
        run->wanted.grafana_url = value;
        return COMMAND_OK;
    case OPTION_OUT:
        run->out = value;
        return COMMAND_OK;
    default:
        if (!config_number("--wait-s", value, 0, PROOF_WAIT_MAX_S, &run->wanted.wait_s, run->error,
                           sizeof(run->error)))
            return command_usage("local-verify", "%s", run->error);
        return COMMAND_OK;
    }
}

/* 0: go on. 1: end with *status. */
static int parse(int argc, char **argv, struct run *run, int *status)
{
    int option;

    *status = COMMAND_OK;
    while ((option = command_next_option(argc, argv, options, help, status)) >= 0)
        if ((*status = take_option(run, option, optarg)) != COMMAND_OK)
            return 1;
    if (option == -2)
        return 1;
    if (optind == argc)
        return 0;
    *status = command_usage("local-verify", "'%.80s' is no option", argv[optind]);
    return 1;
}

/* ---- the parts of the folder ---- */

static int write_text(struct run *run, const char *name, bool made)
{
    if (!made) {
        snprintf(run->error, sizeof(run->error), "out of memory");
        return -1;
    }
    return evidence_write(&run->own, name, &run->text, run->error, sizeof(run->error));
}

/* A demo that fails is told; the proof decides. */
static void demonstrate(struct run *run)
{
    struct activity_options wanted = {.exporter_url = run->wanted.exporter_url,
                                      .wait_s = ACTIVITY_WAIT_DEFAULT_S};

    if (!activity_exporter_answers(wanted.exporter_url)) {
        printf("NEXT|activity: left out, the exporter does not answer: bash sidecar/ops/up.sh\n");
        return;
    }
    run->active = activity_run(&wanted, &run->activity, run->error, sizeof(run->error)) == 0;
    if (!run->active)
        printf("NEXT|activity: %s\n", run->error);
    else
        printf("%s|activity|one accept and one reject %s, %s\n", run->activity.passed ? "PASS" : "NEXT",
               run->activity.passed ? "counted" : "not counted", run->activity.evidence.folder);
}

static int prove(struct run *run)
{
    if (proof_run(&run->wanted, &run->proof, run->error, sizeof(run->error)) != 0)
        return -1;
    run->status = run->proof.passed ? COMMAND_OK : COMMAND_FAILED;
    run->text.used = 0;
    if (write_text(run, "PROOF.txt", proof_lines(&run->proof, &run->text)) != 0)
        return -1;
    run->text.used = 0;
    return write_text(run, "PROOF_EXIT_STATUS.txt", buffer_printf(&run->text, "%d\n", run->status));
}

static int write_note(struct run *run)
{
    run->text.used = 0;
    return write_text(
        run, "OPERATOR_NOTE.txt",
        buffer_printf(&run->text,
                      "AI Live: operator's note on the run of %s. Fill in what is open.\n\n"
                      "who:          \nwhy:          \nwhat changed: \nresult:       RESULT=%s\n"
                      "remarks:      \n",
                      run->own.stamp, run->proof.passed ? "PASS" : "FAIL"));
}

/* The newest folder of a kind below .local_tmp, or "none". */
static void newest(const char *kind, char *out, size_t cap)
{
    size_t len = strlen(kind);
    DIR *folder = opendir(EVIDENCE_ROOT);
    const struct dirent *entry;

    snprintf(out, cap, "none");
    while (folder != NULL && (entry = readdir(folder)) != NULL)
        if (strncmp(entry->d_name, kind, len) == 0 && entry->d_name[len] == '_' &&
            (strcmp(out, "none") == 0 || strcmp(entry->d_name, out) > 0))
            snprintf(out, cap, "%s", entry->d_name);
    if (folder != NULL)
        closedir(folder);
}

static int write_latest(struct run *run)
{
    bool made = true;

    run->text.used = 0;
    for (size_t i = 0; i < KINDS && made; i++) {
        char name[256];

        newest(kinds[i], name, sizeof(name));
        made = buffer_printf(&run->text, "%s=%s%s\n", kinds[i],
                             strcmp(name, "none") == 0 ? "" : EVIDENCE_ROOT "/", name);
    }
    return write_text(run, "LATEST_DIRS.txt", made);
}

/* ---- over the files ---- */

typedef int each_file(struct run *run, void *context, const char *folder, const char *name);

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int failed_file(struct run *run, const char *folder, const char *name, int cause)
{
    snprintf(run->error, sizeof(run->error), "cannot read %.300s/%.200s: %s", folder, name, strerror(cause));
    return -1;
}

/* S_IFREG, S_IFDIR, or 0 for what is none of them. Asked by stat(): not every file system tells it in d_type,
 * and a file that is passed over unseen would be a scan without hits. */
static mode_t kind_of(const char *folder, const char *name)
{
    char path[PATHS_MAX_BYTES + 512];
    struct stat found;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return lstat(path, &found) == 0 ? found.st_mode & S_IFMT : 0;
}

/* Calls each for every file of the folder and, one level down, of its folders. name: within folder. */
static int walk(struct run *run, const char *folder, const char *below, each_file *each, void *context)
{
    char path[PATHS_MAX_BYTES + 256];
    struct dirent **entries;
    int count, status = 0;

    snprintf(path, sizeof(path), "%s/%s", folder, below);
    count = scandir(path, &entries, NULL, by_name);
    if (count < 0)
        return failed_file(run, folder, below, errno);
    for (int i = 0; i < count; i++) {
        char name[512];
        mode_t kind;

        snprintf(name, sizeof(name), "%s%s", below, entries[i]->d_name);
        kind = status == 0 ? kind_of(folder, name) : 0;
        if (kind == S_IFREG)
            status = each(run, context, folder, name);
        if (kind == S_IFDIR && entries[i]->d_name[0] != '.' && below[0] == '\0') {
            snprintf(name, sizeof(name), "%s/", entries[i]->d_name);
            status = walk(run, folder, name, each, context);
        }
        free(entries[i]);
    }
    free(entries);
    return status;
}

static int scan_each(struct run *run, void *scan, const char *folder, const char *name)
{
    char path[PATHS_MAX_BYTES + 512];
    int cause;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    cause = key_scan_file(scan, path, &run->text);
    return cause == 0 ? 0 : failed_file(run, folder, name, cause);
}

/* This folder and those of the demo and the proof. */
static int write_scan(struct run *run)
{
    struct key_scan *scan = key_scan_new();
    int status = 0;

    run->text.used = 0;
    if (scan != NULL)
        status = walk(run, run->own.folder, "", scan_each, scan);
    if (scan != NULL && status == 0)
        status = walk(run, run->proof.evidence.folder, "", scan_each, scan);
    if (scan != NULL && status == 0 && run->active)
        status = walk(run, run->activity.evidence.folder, "", scan_each, scan);
    key_scan_free(scan);
    if (status != 0)
        return -1;
    if (run->text.used > 0)
        printf("NEXT|key_material: look at %s/KEY_MATERIAL_SCAN.txt before you hand the folders on\n",
               run->own.folder);
    return write_text(run, "KEY_MATERIAL_SCAN.txt",
                      scan != NULL && (run->text.used > 0 || buffer_add_text(&run->text, "NO_HITS\n")));
}

static int digest_each(struct run *run, void *context, const char *folder, const char *name)
{
    char path[PATHS_MAX_BYTES + 512], digest[DIGEST_TEXT_BYTES];
    int cause;

    (void)context;
    if (strcmp(name, MANIFEST_FILE) == 0)
        return 0;
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    cause = digest_file(path, digest);
    if (cause != 0)
        return failed_file(run, folder, name, cause);
    return buffer_printf(&run->text, "%s  %s\n", digest, name) ? 0 : failed_file(run, folder, name, ENOMEM);
}

/* Names are relative: `sha256sum -c` runs in the folder, wherever it has been copied to. */
static int write_manifest(struct run *run)
{
    run->text.used = 0;
    return walk(run, run->own.folder, "", digest_each, NULL) != 0 ? -1 : write_text(run, MANIFEST_FILE, true);
}

/* Everything, the proof's lines last. The exit status. */
static int run_all(struct run *run)
{
    if (evidence_open(&run->own, kinds[0], run->out, run->error, sizeof(run->error)) != 0)
        return -1;
    demonstrate(run);
    if (prove(run) != 0 || write_note(run) != 0 || write_latest(run) != 0 || write_scan(run) != 0 ||
        write_manifest(run) != 0)
        return -1;
    fprintf(stderr, "ailive local-verify: evidence in %s\n", run->own.folder);
    run->text.used = 0;
    if (!proof_lines(&run->proof, &run->text))
        return COMMAND_FAILED;
    fwrite(run->text.bytes, 1, run->text.used, stdout);
    return run->status;
}

int command_local_verify(int argc, char **argv)
{
    struct run *run = calloc(1, sizeof(*run));
    int status;

    if (run == NULL) {
        fprintf(stderr, "ailive local-verify: out of memory\n");
        return COMMAND_FAILED;
    }
    run->wanted.wait_s = PROOF_WAIT_DEFAULT_S;
    if (parse(argc, argv, run, &status) == 0)
        status = run_all(run);
    if (status < 0) {
        fprintf(stderr, "ailive local-verify: %s\n", run->error);
        status = COMMAND_FAILED;
    }
    buffer_fini(&run->text);
    buffer_fini(&run->activity.report);
    free(run);
    return status;
}
