/* contract.c - see contract.h. The rules stand in the order of the contract's page. */
#include "contract.h"

#include "histogram.h"
#include "intern.h"
#include "json.h"
#include "line_kind.h"
#include "text.h"
#include "time_text.h"

#include <wire/spool.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN_ID_MAX_BYTES 32u

struct contract {
    struct json_reader *json;
    struct json_view view;
    struct intern *intern;
    struct line_kinds *kinds;
    char run_id[RUN_ID_MAX_BYTES]; /* of the line being read */
    struct text default_component;
    struct text default_run_id;
    char defaults[]; /* their texts */
};

/* A line that was read can be neither counted nor passed over, and nothing of its unit is committed yet:
 * ending here loses nothing. */
static void out_of_memory(void)
{
    fputs("ailive: out of memory while reading event lines; what is not committed will be read again\n",
          stderr);
    abort();
}

struct contract *contract_new(const struct contract_options *options)
{
    struct text component = text_trim(text_of(options ? options->component : NULL));
    struct text run_id = text_trim(text_of(options ? options->run_id : NULL));
    struct contract *contract;

    if (component.len_bytes == 0)
        component = TEXT_OF("execution_watch");
    if (run_id.len_bytes == 0)
        run_id = TEXT_OF("na");
    contract = calloc(1, sizeof(*contract) + component.len_bytes + run_id.len_bytes);
    if (!contract)
        return NULL;
    memcpy(contract->defaults, component.bytes, component.len_bytes);
    memcpy(contract->defaults + component.len_bytes, run_id.bytes, run_id.len_bytes);
    contract->default_component = (struct text){contract->defaults, component.len_bytes};
    contract->default_run_id = (struct text){contract->defaults + component.len_bytes, run_id.len_bytes};
    contract->json = json_reader_new();
    contract->intern = intern_new();
    contract->kinds = line_kinds_new();
    if (contract->json && contract->intern && contract->kinds)
        return contract;
    contract_free(contract);
    return NULL;
}

void contract_free(struct contract *contract)
{
    if (!contract)
        return;
    if (contract->json)
        json_reader_free(contract->json);
    intern_free(contract->intern);
    line_kinds_free(contract->kinds);
    free(contract);
}

void contract_clear(struct contract *contract)
{
    line_kinds_clear(contract->kinds, intern_clear(contract->intern));
}

static struct labels *keep(struct contract *contract, const struct labels *labels)
{
    struct labels *kept = intern_labels(contract->intern, labels);

    if (!kept)
        out_of_memory();
    return kept;
}

/* ---- what several schemas share ---- */

/* The string, trimmed; empty for a blank one and for any other type. */
static struct text string_of(const struct json_value *value)
{
    return value->type == JSON_STRING ? text_trim(value->text) : (struct text){NULL, 0};
}

static struct text component_of(const struct contract *contract)
{
    struct text component = string_of(&contract->view.values[JSON_COMPONENT]);

    return component.len_bytes > 0 ? component : contract->default_component;
}

static struct text run_id_of(struct contract *contract)
{
    struct text run_id = string_of(&contract->view.values[JSON_RUN_ID]);

    if (run_id.len_bytes == 0)
        run_id = contract->default_run_id;
    return (struct text){contract->run_id, text_run_id(run_id, RUN_ID_MAX_BYTES, contract->run_id)};
}

/* Sets the time from a key of the line; otherwise the time of processing stays. */
static void set_time(const struct json_value *value, struct observation *out)
{
    if (value->type == JSON_STRING)
        out->has_time = time_text_parse(value->text, &out->time_ns);
}

/* An event counts as unobserved once, whichever of its latencies is at fault. */
static void note_fault(struct observation *out, enum latency_fault fault)
{
    if (out->fault == LATENCY_FINE)
        out->fault = fault;
}

/* latency_s, else latency_ms / 1000. */
static void set_seconds(const struct json_view *view, struct observation *out)
{
    const struct json_value *seconds = &view->values[JSON_LATENCY_S];
    const struct json_value *ms = &view->values[JSON_LATENCY_MS];
    enum latency_fault fault = LATENCY_FINE;

    if (seconds->type == JSON_NUMBER)
        histogram_latency_to(HISTOGRAM_SECONDS, seconds->number, &out->seconds, &fault);
    else if (ms->type == JSON_NUMBER)
        histogram_latency_to(HISTOGRAM_SECONDS, ms->number / 1000.0, &out->seconds, &fault);
    note_fault(out, fault);
}

static void set_ms(const struct json_view *view, struct observation *out)
{
    const struct json_value *ms = &view->values[JSON_LATENCY_MS];
    enum latency_fault fault;

    if (ms->type != JSON_NUMBER)
        return;
    histogram_latency_to(HISTOGRAM_MS, ms->number, &out->ms, &fault);
    note_fault(out, fault);
}

struct alias {
    const char *text, *meaning;
};

/* The meaning of text in a table that ends with NULL; the empty text when it is not there. */
static struct text find_alias(const struct alias *table, struct text text)
{
    for (; table->text; table++)
        if (text_is_folded(text, table->text))
            return text_of(table->meaning);
    return (struct text){NULL, 0};
}

static const struct alias decision_aliases[] = {
    {"accept", "accept"},   {"reject", "reject"}, {"noop", "noop"},      {"approve", "accept"},
    {"approved", "accept"}, {"allow", "accept"},  {"allowed", "accept"}, {"deny", "reject"},
    {"denied", "reject"},   {"block", "reject"},  {"blocked", "reject"}, {"no_op", "noop"},
    {"skip", "noop"},       {"ignored", "noop"},  {NULL, NULL},
};

/* ---- sample_v1 ---- */

static struct text sample_reason(const struct json_value *value)
{
    struct text reason = string_of(value);

    if (!value->truthy || (value->type == JSON_STRING && reason.len_bytes == 0))
        return TEXT_OF("none");
    for (unsigned i = AILIVE_REASON_NONE; i <= AILIVE_REASON_OTHER; i++)
        if (text_is_folded(reason, event_reason_name(i)))
            return text_of(event_reason_name(i));
    return TEXT_OF("other");
}

/* Empty for `none` too: it is not counted. */
static struct text sample_action(const struct json_value *value)
{
    struct text action = string_of(value);

    for (unsigned i = AILIVE_ORDER_INTENT; i <= AILIVE_FILL; i++)
        if (text_is_folded(action, event_action_name(i)))
            return text_of(event_action_name(i));
    return (struct text){NULL, 0};
}

static void sample_v1(struct contract *contract, struct labels *labels, struct line_kind *kind)
{
    const struct json_value *values = contract->view.values;
    struct text decision = find_alias(decision_aliases, string_of(&values[JSON_DECISION]));

    labels->source = SOURCE_SAMPLE_V1;
    if (values[JSON_V].type != JSON_NUMBER || values[JSON_V].number != 1.0) {
        labels->drop = CONTRACT_UNKNOWN_SCHEMA;
        return;
    }
    if (decision.len_bytes == 0) {
        labels->drop = CONTRACT_MISSING_FIELDS;
        return;
    }
    labels->decision = decision;
    labels->reason = sample_reason(&values[JSON_REASON]);
    labels->action = sample_action(&values[JSON_ACTION]);
    labels->component = component_of(contract);
    labels->run_id = run_id_of(contract);
    kind->time_key = JSON_TS_UTC;
    kind->seconds = kind->ms = true;
}

/* ---- beta_exec_v1 and exec_event_v0 ---- */

struct handled {
    const char *event_type; /* lower case; NULL ends the table */
    const char *action;     /* NULL: none */
    const char *decision;   /* NULL: none */
    const char *reason;     /* NULL: the mapped reason */
};

static const struct handled beta_handled[] = {
    {"intent", "order_intent", NULL, NULL},
    {"submit", "submit", "accept", "none"},
    {"fill", "fill", NULL, NULL},
    {"reject", "order_request", "reject", NULL},
    {"validation_reject", NULL, "reject", NULL},
    {"risk_reject", NULL, "reject", NULL},
    {"error", NULL, "reject", NULL},
    {NULL, NULL, NULL, NULL},
};

static const struct handled exec_handled[] = {
    {"created", "order_intent", NULL, NULL}, {"submitted", "submit", "accept", "none"},
    {"filled", "fill", NULL, NULL},          {"canceled", "cancel", NULL, NULL},
    {"failed", NULL, "reject", "other"},     {NULL, NULL, NULL, NULL},
};

static struct text mapped_reason(const struct json_value *value)
{
    struct text code = string_of(value);

    if (text_starts_folded(code, "validation_") || text_starts_folded(code, "adapter_"))
        return TEXT_OF("invalid_order");
    if (text_starts_folded(code, "risk_"))
        return TEXT_OF("risk_limit");
    if (text_starts_folded(code, "policy_"))
        return TEXT_OF("governance_no_live");
    return TEXT_OF("other");
}

static void execution(struct contract *contract, enum source source, const struct handled *handled,
                      enum json_key time_key, struct labels *labels, struct line_kind *kind)
{
    const struct json_value *values = contract->view.values;
    const struct json_value *event_type = &values[JSON_EVENT_TYPE];
    struct text type = string_of(event_type);

    labels->source = source;
    if (!event_type->truthy || (event_type->type == JSON_STRING && type.len_bytes == 0)) {
        labels->drop = CONTRACT_MISSING_FIELDS;
        return;
    }
    while (handled->event_type && !text_is_folded(type, handled->event_type))
        handled++;
    if (!handled->event_type) {
        labels->drop = CONTRACT_UNKNOWN_SCHEMA;
        return;
    }
    labels->action = text_of(handled->action);
    labels->decision = text_of(handled->decision);
    if (handled->decision)
        labels->reason =
            handled->reason ? text_of(handled->reason) : mapped_reason(&values[JSON_REASON_CODE]);
    labels->component = contract->default_component;
    labels->run_id = run_id_of(contract);
    kind->time_key = time_key;
}

/* ---- unknown ---- */

static struct text decision_by_content(struct text type)
{
    static const struct alias contained[] = {
        {"reject", "reject"},  {"block", "reject"}, {"deny", "reject"}, {"accept", "accept"},
        {"approve", "accept"}, {"allow", "accept"}, {"noop", "noop"},   {"skip", "noop"},
    };

    for (size_t i = 0; i < sizeof(contained) / sizeof(contained[0]); i++)
        if (text_contains_folded(type, contained[i].text))
            return text_of(contained[i].meaning);
    return (struct text){NULL, 0};
}

static struct text unknown_decision(const struct json_value *values)
{
    struct text decision = string_of(&values[JSON_DECISION]);
    struct text alias = find_alias(decision_aliases, decision);
    /* A truthy `type` hides `event_type`, whatever it is. */
    const struct json_value *type = values[JSON_TYPE].truthy ? &values[JSON_TYPE] : &values[JSON_EVENT_TYPE];

    if (alias.len_bytes > 0)
        return alias;
    if (decision.len_bytes > 0)
        return decision; /* n(32) lower-cases it */
    return decision_by_content(string_of(type));
}

static struct text first_string(const struct json_value *values, const enum json_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct text text = string_of(&values[keys[i]]);

        if (text.len_bytes > 0)
            return text;
    }
    return (struct text){NULL, 0};
}

static void unknown(struct contract *contract, struct labels *labels, struct line_kind *kind)
{
    static const enum json_key reason_keys[] = {JSON_REASON, JSON_BLOCK_REASON, JSON_GATE_REASON,
                                                JSON_POLICY_REASON};
    static const enum json_key action_keys[] = {JSON_ACTION, JSON_ACTION_TYPE};
    const struct json_value *values = contract->view.values;

    labels->source = SOURCE_UNKNOWN;
    labels->drop = CONTRACT_UNKNOWN_SCHEMA;
    labels->decision = unknown_decision(values);
    labels->action = first_string(values, action_keys, 2);
    if (labels->decision.len_bytes > 0) {
        labels->reason = first_string(values, reason_keys, 4);
        if (labels->reason.len_bytes == 0)
            labels->reason = TEXT_OF("none");
        kind->seconds = true;
    }
    if (labels->decision.len_bytes > 0 || labels->action.len_bytes > 0) {
        labels->component = component_of(contract);
        labels->run_id = run_id_of(contract);
    }
}

/* ---- lines ---- */

static bool value_is(const struct json_value *value, const char *literal)
{
    return value->type == JSON_STRING && text_is(value->text, literal);
}

/* Which labels the line gets and which of its numbers count, by the rules of its schema. */
static void judge(struct contract *contract, struct line_kind *kind)
{
    const struct json_value *values = contract->view.values;
    struct labels labels = {.source = SOURCE_UNKNOWN};

    *kind = (struct line_kind){.time_key = JSON_KEYS};
    if (values[JSON_V].type != JSON_ABSENT)
        sample_v1(contract, &labels, kind);
    else if (value_is(&values[JSON_SCHEMA_VERSION], "BETA_EXEC_V1"))
        execution(contract, SOURCE_BETA_EXEC_V1, beta_handled, JSON_TS_UTC, &labels, kind);
    else if (value_is(&values[JSON_SCHEMA], "execution_event_v0"))
        execution(contract, SOURCE_EXEC_EVENT_V0, exec_handled, JSON_TS, &labels, kind);
    else
        unknown(contract, &labels, kind);
    kind->labels = keep(contract, &labels);
}

static void object_line(struct contract *contract, struct observation *out)
{
    const struct line_kind *kind = line_kinds_find(contract->kinds, &contract->view);
    struct line_kind first;

    if (!kind) {
        judge(contract, &first);
        line_kinds_add(contract->kinds, &contract->view, &first);
        kind = &first;
    }
    out->labels = kind->labels;
    if (kind->time_key != JSON_KEYS)
        set_time(&contract->view.values[kind->time_key], out);
    if (kind->seconds)
        set_seconds(&contract->view, out);
    if (kind->ms)
        set_ms(&contract->view, out);
}

/* Reads the line into contract->view; what is wrong with it when it is no object. */
static enum contract_drop read_object(struct contract *contract, const char *bytes, size_t len_bytes)
{
    switch (json_read(contract->json, bytes, len_bytes, &contract->view)) {
    case JSON_IS_OBJECT:
        return CONTRACT_KEPT;
    case JSON_NO_OBJECT:
        return CONTRACT_OTHER;
    case JSON_BAD:
        return CONTRACT_BAD_JSON;
    case JSON_MEMORY:
        break;
    }
    out_of_memory();
    return CONTRACT_BAD_JSON;
}

/* A line that is dropped, at the time of its processing. */
static void drop_line(struct contract *contract, enum contract_drop drop, struct observation *out)
{
    const struct labels labels = {.source = SOURCE_UNKNOWN, .drop = drop};

    out->labels = keep(contract, &labels);
}

/* Part by part: as a whole it would be cleared by a loop of the processor that takes longer. */
static void observation_begin(int64_t now_ns, struct observation *out)
{
    out->labels = NULL;
    out->has_time = false;
    out->fault = LATENCY_FINE;
    out->time_ns = now_ns;
    out->seconds = (struct latency){0};
    out->ms = (struct latency){0};
}

static bool blank(const char *bytes, size_t len_bytes)
{
    return text_trim((struct text){bytes, len_bytes}).len_bytes == 0;
}

size_t contract_line(struct contract *contract, const char *bytes, size_t len_bytes, int64_t now_ns,
                     struct observation *out)
{
    enum contract_drop drop;

    if (blank(bytes, len_bytes))
        return 0;
    observation_begin(now_ns, out);
    drop = read_object(contract, bytes, len_bytes);
    if (drop == CONTRACT_KEPT)
        object_line(contract, out);
    else
        drop_line(contract, drop, out);
    return 1;
}

void contract_long_line(struct contract *contract, int64_t now_ns, struct observation *out)
{
    observation_begin(now_ns, out);
    drop_line(contract, CONTRACT_BAD_JSON, out);
}

/* ---- records of the SDK ---- */

void contract_sdk_labels(const struct event_row *row, struct text reason, struct text stage,
                         struct text component, struct text run_id, struct labels *out)
{
    *out = (struct labels){.source = SOURCE_SDK_V1, .component = component, .run_id = run_id};
    if (row->kind == AILIVE_KIND_STAGE) {
        out->stage = stage;
        return;
    }
    if (row->action != AILIVE_ACTION_NONE)
        out->action = text_of(event_action_name(row->action));
    if (row->kind == AILIVE_KIND_DECISION) {
        out->decision = text_of(event_decision_name(row->decision));
        out->reason = reason;
    }
}

bool contract_sdk_timed(const struct event_row *row)
{
    return row->kind != AILIVE_KIND_ACTION;
}

void contract_sdk_record(const struct event_row *row, struct labels *labels, struct observation *out)
{
    *out = (struct observation){.labels = labels, .has_time = true, .time_ns = row->time_ns};
    if (!contract_sdk_timed(row) || row->latency_ns == AILIVE_NO_LATENCY)
        return;
    out->seconds = histogram_latency_ns(HISTOGRAM_SECONDS, row->latency_ns, &out->fault);
    if (row->kind == AILIVE_KIND_DECISION)
        out->ms = histogram_latency_ns(HISTOGRAM_MS, row->latency_ns, &out->fault);
}

/* ---- spool lines ---- */

/* The row in the line. false: a field is missing or is none of its kind. */
static bool spool_row(const struct json_value *values, int kind, struct event_row *row)
{
    struct text decision = values[JSON_DECISION].text, action = values[JSON_ACTION].text;
    int decision_number = event_decision_find(decision.bytes, decision.len_bytes);
    int action_number = event_action_find(action.bytes, action.len_bytes);

    *row = (struct event_row){.kind = (uint8_t)kind, .latency_ns = AILIVE_NO_LATENCY};
    if (!values[JSON_TS_NS].is_int || values[JSON_COMPONENT].type != JSON_STRING ||
        values[JSON_RUN_ID].type != JSON_STRING)
        return false;
    row->time_ns = values[JSON_TS_NS].integer;
    if (values[JSON_LATENCY_NS].type != JSON_ABSENT) {
        if (!values[JSON_LATENCY_NS].is_int)
            return false;
        row->latency_ns = values[JSON_LATENCY_NS].integer;
    }
    if (kind == AILIVE_KIND_STAGE)
        return values[JSON_STAGE].type == JSON_STRING;
    if (action_number < 0 || (kind == AILIVE_KIND_ACTION && action_number == AILIVE_ACTION_NONE))
        return false;
    row->action = (uint8_t)action_number;
    if (kind == AILIVE_KIND_ACTION)
        return true;
    row->decision = (uint8_t)decision_number;
    return decision_number >= 0 && values[JSON_REASON].type == JSON_STRING;
}

static void spool_record(struct contract *contract, int kind, struct spool_line *out)
{
    const struct json_value *values = contract->view.values;
    struct labels labels;
    struct event_row row;

    if (!spool_row(values, kind, &row)) {
        out->kind = SPOOL_LINE_INVALID;
        return;
    }
    out->kind = SPOOL_LINE_RECORD;
    contract_sdk_labels(&row, values[JSON_REASON].text, values[JSON_STAGE].text, values[JSON_COMPONENT].text,
                        values[JSON_RUN_ID].text, &labels);
    contract_sdk_record(&row, keep(contract, &labels), &out->observation);
}

static void spool_drop(const struct json_value *values, struct spool_line *out)
{
    struct text reason = values[JSON_REASON].text;
    uint64_t end;

    out->drop = event_drop_find(reason.bytes, reason.len_bytes);
    out->count = values[JSON_COUNT].uinteger;
    if (out->drop < (int)EVENT_DROP_DOORS || !values[JSON_COUNT].is_uint || out->count == 0 ||
        __builtin_add_overflow(out->seq, out->count, &end))
        return;
    out->kind = SPOOL_LINE_DROP;
}

static void spool_door(const struct json_value *values, struct spool_line *out)
{
    if (!values[JSON_RING_FULL].is_uint || !values[JSON_NO_RING].is_uint)
        return;
    out->door[EVENT_DROP_RING_FULL] = values[JSON_RING_FULL].uinteger;
    out->door[EVENT_DROP_NO_RING] = values[JSON_NO_RING].uinteger;
    out->kind = SPOOL_LINE_DOOR;
}

/* out->kind stays SPOOL_LINE_BAD when the line is not of the spool. */
static void spool_object(struct contract *contract, struct spool_line *out)
{
    const struct json_value *values = contract->view.values;
    struct text event = values[JSON_EVENT].text, sid = values[JSON_SID].text;
    int kind;

    if (values[JSON_EVENT].type != JSON_STRING || values[JSON_SID].type != JSON_STRING ||
        values[JSON_V].type != JSON_NUMBER || values[JSON_V].number != 1.0 ||
        !spool_sid_parse(sid.bytes, sid.len_bytes, &out->producer, &out->ring))
        return;
    if (text_is(event, "door")) {
        spool_door(values, out);
        return;
    }
    if (!values[JSON_SEQ].is_uint || values[JSON_SEQ].uinteger == UINT64_MAX) /* its end would wrap */
        return;
    out->seq = values[JSON_SEQ].uinteger;
    out->count = 1;
    kind = event_kind_find(event.bytes, event.len_bytes);
    if (text_is(event, "drop"))
        spool_drop(values, out);
    else if (text_is(event, "invalid"))
        out->kind = SPOOL_LINE_INVALID;
    else if (kind >= 0)
        spool_record(contract, kind, out);
}

void contract_spool_line(struct contract *contract, const char *bytes, size_t len_bytes, int64_t now_ns,
                         struct spool_line *out)
{
    enum contract_drop drop;

    *out = (struct spool_line){.kind = SPOOL_LINE_BAD, .drop = -1};
    if (blank(bytes, len_bytes)) {
        out->kind = SPOOL_LINE_BLANK;
        return;
    }
    drop = read_object(contract, bytes, len_bytes);
    if (drop == CONTRACT_KEPT) {
        drop = CONTRACT_UNKNOWN_SCHEMA;
        spool_object(contract, out);
    }
    if (out->kind == SPOOL_LINE_RECORD)
        return;
    observation_begin(now_ns, &out->observation);
    drop_line(contract, drop, &out->observation);
}
