/* config.c - see config.h. */
#include "config.h"

#include <wire/paths.h>

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PORT_VARIABLE "PEAK_TRADE_AI_EXPORTER_PORT"
#define PORT_DEFAULT  "9110"

/* Digits only: no sign, no space, no fraction. false: not a number, or over 64 bits. */
static bool parse_digits(const char *text, uint64_t *out)
{
    uint64_t value = 0;

    if (*text == '\0')
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return false;
    }
    *out = value;
    return true;
}

bool config_number(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *out, char *error,
                   size_t error_cap)
{
    uint64_t value;

    if (parse_digits(text, &value) && value >= min && value <= max) {
        *out = value;
        return true;
    }
    snprintf(error, error_cap, "%s is '%.80s': give a whole number from %" PRIu64 " to %" PRIu64, what, text,
             min, max);
    return false;
}

static bool listen_failed(const char *text, const char *why, char *error, size_t error_cap)
{
    snprintf(error, error_cap,
             "the address to listen on is '%.100s': %s; give ADDR:PORT, [IPV6]:PORT or :PORT, for example "
             "127.0.0.1:9110",
             text, why);
    return false;
}

/* The address in front of the colon; brackets around IPv6 are taken off. NULL: fine; else what is wrong. */
static const char *parse_address(const char *text, size_t len_bytes, char out[64])
{
    unsigned char parsed[sizeof(struct in6_addr)];
    bool bracketed = len_bytes >= 2 && text[0] == '[' && text[len_bytes - 1] == ']';

    if (len_bytes == 0) {
        snprintf(out, 64, "127.0.0.1");
        return NULL;
    }
    if (bracketed) {
        text++;
        len_bytes -= 2;
    }
    if (len_bytes >= 64)
        return "the address is too long";
    memcpy(out, text, len_bytes);
    out[len_bytes] = '\0';
    if (inet_pton(bracketed ? AF_INET6 : AF_INET, out, parsed) == 1)
        return NULL;
    return bracketed ? "what is in brackets is no IPv6 address"
                     : "what stands before the port is no IPv4 address (IPv6 goes in brackets)";
}

bool config_listen(const char *text, struct config_listen *out, char *error, size_t error_cap)
{
    struct config_listen listen;
    const char *colon, *why;
    char port_text[64];
    uint64_t port;

    if (!text) {
        snprintf(listen.address, sizeof(listen.address), "127.0.0.1");
        if (!paths_env(PORT_VARIABLE, PORT_DEFAULT, port_text, sizeof(port_text)))
            snprintf(port_text, sizeof(port_text), "(too long)");
        if (!config_number("the environment variable " PORT_VARIABLE, port_text, 0, 65535, &port, error,
                           error_cap))
            return false;
        listen.port = (uint16_t)port;
        *out = listen;
        return true;
    }
    colon = strrchr(text, ':');
    if (!colon)
        return listen_failed(text, "there is no colon before a port", error, error_cap);
    why = parse_address(text, (size_t)(colon - text), listen.address);
    if (!why && (!parse_digits(colon + 1, &port) || port > 65535))
        why = "the port is no number from 0 to 65535";
    if (why)
        return listen_failed(text, why, error, error_cap);
    listen.port = (uint16_t)port;
    *out = listen;
    return true;
}

#define NAME_CAP 256u

static bool take_name(const char *what, const char *given, const char *variable, const char *fallback,
                      char *out, char *error, size_t error_cap)
{
    bool fits;

    if (given && given[strspn(given, " \t\r\n\v\f")] != '\0') {
        fits = strlen(given) < NAME_CAP;
        if (fits)
            memcpy(out, given, strlen(given) + 1);
    } else {
        fits = paths_env(variable, fallback, out, NAME_CAP);
    }
    if (!fits)
        snprintf(error, error_cap, "the %s is longer than %u bytes: give a shorter one (option or $%s)", what,
                 NAME_CAP - 1, variable);
    return fits;
}

bool config_component(const char *given, char *out, char *error, size_t error_cap)
{
    return take_name("component", given, "PEAK_TRADE_AI_COMPONENT", CONFIG_COMPONENT_DEFAULT, out, error,
                     error_cap);
}

bool config_run_id(const char *given, char *out, char *error, size_t error_cap)
{
    return take_name("run id", given, "PEAK_TRADE_AI_RUN_ID", CONFIG_RUN_ID_DEFAULT, out, error, error_cap);
}
