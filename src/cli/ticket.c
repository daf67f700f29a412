/* SPDX-License-Identifier: MIT */
#include "cli/ticket.h"

#include <json-c/json.h>
#include <openssl/asn1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "base/text.h"
#include "cli/json.h"
#include "core/cert.h"

enum {
	FORMAT_VERSION = 1,
	DEPTH = 4,    /* of what stands in each other */
	ESCAPED = 48, /* more than any character takes */
};

static const char format[] = "kernel-sign request";

bool ticket_set_path(struct ticket *t, const char *path, struct ks_error *err)
{
	t->path = ks_text_escape(path);
	return t->path ? ks_hex(ks_view_of(path, strlen(path)), &t->path_hex, err) :
			 ks_fail_memory(err);
}

/* Printing */

static bool add_cert(struct json *o, X509 *cert, struct ks_error *err)
{
	EVP_PKEY *public = X509_get0_pubkey(cert);
	KS_CERT_TEXT text = { 0 };
	unsigned char *der = NULL;
	int len = i2d_X509(cert, &der);
	KS_STRING base64 = len > 0 ? malloc(4 * ((size_t)len / 3 + 1) + 1) : NULL;
	KS_STRING subject = NULL;
	bool ok = base64 && ks_cert_describe(cert, &text, err);

	if (ok) {
		EVP_EncodeBlock((unsigned char *)base64, der, len);
		subject = ks_text_escape(text.subject);
		o->whole = o->whole && subject;
		json_add_text(o, "signer", subject);
		json_add_text(o, "key_id", text.key_id);
		json_add_text(o, "key_type", public ? EVP_PKEY_get0_type_name(public) : NULL);
		json_add_text(o, "certificate", base64);
	} else if (!base64) {
		ks_fail_openssl(err, KS_ERR_CRYPTO, "certificate");
	}
	OPENSSL_free(der);
	return ok;
}

static void add_answers(struct json *o, const char *name)
{
	static const char *const suffixes[] = { "sig", "p7s" };
	struct json_object *answers = json_object_new_array();

	for (size_t i = 0; answers && i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		char file[256];
		struct json_object *text;

		snprintf(file, sizeof(file), "%s.%s", name, suffixes[i]);
		text = json_object_new_string(file);
		o->whole = o->whole && text && json_object_array_add(answers, text) == 0;
	}
	json_add(o, "answers", answers);
}

/* The UTF-8 character at the front of VIEW, which is cut off there (RFC 3629). */
static bool next_character(struct ks_view *view, unsigned long *c)
{
	int len = UTF8_getc(view->data, view->len > 4 ? 4 : (int)view->len, c);

	if (len <= 0 || *c > 0x10ffff)
		return false;
	*view = ks_view_of(view->data + len, view->len - (size_t)len);
	return true;
}

/* As JSON has it (RFC 8259, 7): beyond 16 bits as a pair of surrogates. */
static void escape(unsigned long c, char escaped[ESCAPED])
{
	if (c < 0x80)
		snprintf(escaped, ESCAPED, "%c", (int)c);
	else if (c < 0x10000)
		snprintf(escaped, ESCAPED, "\\u%04lx", c);
	else
		snprintf(escaped, ESCAPED, "\\u%04lx\\u%04lx", 0xd800 + ((c - 0x10000) >> 10),
			 0xdc00 + ((c - 0x10000) & 0x3ff));
}

/* Only strings have other characters; json-c 0.18 would not read them again when it is strict. */
static bool append_ascii(struct ks_buf *file, struct ks_view text, struct ks_error *err)
{
	while (text.len) {
		unsigned long c;
		char escaped[ESCAPED];

		if (!next_character(&text, &c))
			return ks_fail(err, KS_ERR_INTERNAL, "a request that is no UTF-8");
		escape(c, escaped);
		if (!ks_buf_append(file, escaped, strlen(escaped), err))
			return false;
	}
	return true;
}

static bool is_utf8(struct ks_view text)
{
	unsigned long c;

	while (text.len)
		if (!next_character(&text, &c))
			return false;
	return true;
}

bool ticket_print(const struct ticket *t, struct ks_buf *file, struct ks_error *err)
{
	JSON o = json_begin();
	const char *text;

	json_add_text(&o, "format", format);
	json_add(&o, "version", json_object_new_int(FORMAT_VERSION));
	json_add_text(&o, "kernel", t->kernel);
	json_add_text(&o, "path", t->path);
	json_add_text(&o, "path_hex", t->path_hex);
	json_add_text(&o, "hash", t->hash);
	json_add_text(&o, "digest", t->digest);
	json_add(&o, "image_size", json_object_new_int64((int64_t)t->image_size));
	json_add(&o, "stack", json_object_new_boolean(t->stack));
	if (!add_cert(&o, t->cert, err))
		return false;
	add_answers(&o, t->name);
	text = json_print(&o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
				      JSON_C_TO_STRING_NOSLASHESCAPE);
	if (!text)
		return ks_fail_memory(err);
	if (!append_ascii(file, ks_view_of(text, strlen(text)), err) ||
	    !ks_buf_append(file, "\n", 1, err))
		return false;
	return file->len <= TICKET_LIMIT ||
	       ks_fail(err, KS_ERR_INPUT, "more than %d bytes: the certificate is too large",
		       TICKET_LIMIT);
}

/* Reading */

static bool parse_json(struct ks_view file, struct json_object **o, struct ks_error *err)
{
	struct json_tokener *tokener;
	enum json_tokener_error error;

	/* Not JSON_TOKENER_VALIDATE_UTF8: json-c 0.18 takes good UTF-8 for bad. */
	if (!is_utf8(file))
		return ks_fail(err, KS_ERR_INPUT, "no JSON: invalid UTF-8");
	tokener = json_tokener_new_ex(DEPTH);
	if (!tokener)
		return ks_fail_memory(err);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	*o = json_tokener_parse_ex(tokener, file.len ? (const char *)file.data : "", (int)file.len);
	error = json_tokener_get_error(tokener);
	json_tokener_free(tokener);
	if (error == json_tokener_continue)
		return ks_fail(err, KS_ERR_INPUT, "no JSON, or truncated");
	if (error != json_tokener_success)
		return ks_fail(err, KS_ERR_INPUT, "no JSON: %s", json_tokener_error_desc(error));
	return json_object_is_type(*o, json_type_object) ||
	       ks_fail(err, KS_ERR_INPUT, "no JSON object");
}

static bool member(struct json_object *o, const char *name, enum json_type type,
		   struct json_object **value, struct ks_error *err)
{
	if (json_object_object_get_ex(o, name, value) && json_object_is_type(*value, type))
		return true;
	return ks_fail(err, KS_ERR_INPUT, "'%s' is missing, or no %s", name,
		       json_type_to_name(type));
}

static bool text(struct json_object *o, const char *name, char **copy, struct ks_error *err)
{
	struct json_object *value;
	const char *string;

	if (!member(o, name, json_type_string, &value, err))
		return false;
	string = json_object_get_string(value);
	if (strlen(string) != (size_t)json_object_get_string_len(value))
		return ks_fail(err, KS_ERR_INPUT, "'%s' has a zero byte in it", name);
	return ks_string_copy(copy, string, err);
}

static bool check_version(struct json_object *o, struct ks_error *err)
{
	KS_STRING said = NULL;
	struct json_object *version;

	if (!text(o, "format", &said, err))
		return false;
	if (strcmp(said, format) != 0)
		return ks_fail(err, KS_ERR_INPUT, "no request of kernel-sign");
	if (!member(o, "version", json_type_int, &version, err))
		return false;
	return json_object_get_int64(version) == FORMAT_VERSION ||
	       ks_fail(err, KS_ERR_UNSUPPORTED,
		       "a request of version %lld; this program knows version %d",
		       (long long)json_object_get_int64(version), FORMAT_VERSION);
}

static bool read_cert(struct json_object *o, X509 **cert, struct ks_error *err)
{
	KS_STRING base64 = NULL;
	KS_BUF der = { 0 };
	size_t size;
	int len;

	if (!text(o, "certificate", &base64, err))
		return false;
	size = strlen(base64);
	if (!ks_buf_reserve(&der, size + 1, err))
		return false;
	len = EVP_DecodeBlock(der.data, (unsigned char *)base64, (int)size);
	if (len <= 0)
		return ks_fail(err, KS_ERR_INPUT, "'certificate' is no base64");
	der.len = (size_t)len;
	for (size_t i = 0; i < 2 && size > i && base64[size - 1 - i] == '='; i++)
		der.len--; /* what pads it came out as zeros */
	if (ks_cert_is_der(ks_buf_view(&der)) && ks_cert_parse(ks_buf_view(&der), cert, err))
		return true;
	return ks_fail(err, KS_ERR_INPUT, "'certificate' is none");
}

/* An error is one line, whatever stands in a request. */
static bool check_hash(const char *hash, struct ks_error *err)
{
	KS_STRING shown = NULL;

	if (ks_digest_find(hash))
		return true;
	shown = ks_text_escape(hash);
	return shown ? ks_fail(err, KS_ERR_UNSUPPORTED, "unknown hash '%s'", shown) :
		       ks_fail_memory(err);
}

static bool parse(struct json_object *o, struct ticket *t, struct ks_error *err)
{
	struct json_object *stack;

	if (!check_version(o, err) || !text(o, "path", &t->path, err) ||
	    !text(o, "path_hex", &t->path_hex, err) || !text(o, "hash", &t->hash, err) ||
	    !text(o, "digest", &t->digest, err) ||
	    !member(o, "stack", json_type_boolean, &stack, err) || !read_cert(o, &t->cert, err))
		return false;
	t->stack = json_object_get_boolean(stack);
	return check_hash(t->hash, err);
}

bool ticket_parse(struct ks_view file, struct ticket *ticket, struct ks_error *err)
{
	JSON o = { 0 };

	*ticket = (struct ticket){ 0 };
	if (file.len > TICKET_LIMIT)
		return ks_fail(err, KS_ERR_INPUT, "more than %d bytes", TICKET_LIMIT);
	if (parse_json(file, &o.object, err) && parse(o.object, ticket, err))
		return true;
	ticket_free(ticket);
	return false;
}

/* Another hash is another digest too. */
const char *ticket_difference(const struct ticket *ticket, const struct ticket *old)
{
	if (strcmp(ticket->path_hex, old->path_hex) != 0)
		return "for another module";
	if (ticket->stack != old->stack)
		return old->stack ? "with --stack" : "without --stack";
	if (X509_cmp(ticket->cert, old->cert) != 0)
		return "for another certificate";
	if (strcmp(ticket->hash, old->hash) != 0)
		return "for another hash";
	return strcmp(ticket->digest, old->digest) == 0 ? NULL : "for another image";
}

void ticket_free(struct ticket *t)
{
	free(t->path_hex);
	free(t->path);
	free(t->hash);
	free(t->digest);
	free(t->kernel);
	X509_free(t->cert);
	*t = (struct ticket){ 0 };
}
