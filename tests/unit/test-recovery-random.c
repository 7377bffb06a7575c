/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Recovery against random histories of a maildrop: mail arrives and goes, the
   mailbox is renumbered, moved, brought back from an older copy, the dict is
   out of reach. Whatever happens, no UIDL is shown for two messages, and what
   can be recognised keeps its own. The seed is printed; --seed repeats it. */
#include <string.h>
#include "pp-recovery.h"

#define HISTORIES 300
#define LOGINS 40
#define MESSAGES_MAX 60

/* A message as the world knows it. Twins are of one class: they cannot be
   told apart once they moved. */
struct mail {
	guint class;
	gboolean twin;
	guint64 id, header;
	char *uidl;		/* shown last, NULL: not yet */
	gboolean certain;	/* what it was shown as must stay */
	gboolean retrieved;
	gint refs;
};

struct place {
	guint32 uid;
	struct mail *mail;
};

struct mailbox {
	struct pp_mailbox_id id;
	guint32 uidnext;
	GArray *places;		/* struct place, by UID */
};

struct world {
	struct mailbox now, copy;	/* copy: places NULL if there is none */
	struct pp_state *state;		/* as stored */
	GArray *ledger;
	GHashTable *owners;		/* UIDL -> class + 1 */
	guint classes, mailboxes;
	guint32 uidvalidity;	/* the last one of an index that was lost */
	guint64 clock;
};

static guint chance(guint percent)
{
	return (guint)g_test_rand_int_range(0, 100) < percent;
}

static guint64 new_id(void)
{
	guint32 high = g_test_rand_int();
	guint32 low = g_test_rand_int();

	return (guint64)high << 32 | low | 1;
}

static void place_clear(gpointer data)
{
	struct mail *mail = ((struct place *)data)->mail;

	if (--mail->refs > 0)
		return;
	g_free(mail->uidl);
	g_free(mail);
}

static GArray *places_new(void)
{
	GArray *places = g_array_new(FALSE, FALSE, sizeof(struct place));

	g_array_set_clear_func(places, place_clear);
	return places;
}

static void places_add(GArray *places, guint32 uid, struct mail *mail)
{
	struct place place = { uid, mail };

	mail->refs++;
	g_array_append_val(places, place);
}

static struct place *place_at(const struct mailbox *mailbox, guint i)
{
	return &g_array_index(mailbox->places, struct place, i);
}

static struct place *place_find(const struct mailbox *mailbox, guint32 uid)
{
	for (guint i = 0; i < mailbox->places->len; i++) {
		if (place_at(mailbox, i)->uid == uid)
			return place_at(mailbox, i);
	}
	return NULL;
}

/* What can happen to a mailbox between two logins. */

static void arrive(struct world *world, guint twins_percent)
{
	guint count = g_test_rand_int_range(0, 8);

	while (count-- > 0 && world->now.places->len < MESSAGES_MAX) {
		struct mail *mail = g_new0(struct mail, 1);
		struct mail *other = NULL;

		if (world->now.places->len > 0 && chance(twins_percent)) {
			other = place_at(&world->now, g_test_rand_int_range(
				0, world->now.places->len))->mail;
		}
		if (other != NULL) {
			other->twin = mail->twin = TRUE;
			mail->class = other->class;
			mail->id = other->id;
			mail->header = other->header;
		} else {
			mail->class = world->classes++;
			mail->id = new_id();
			mail->header = chance(75) ? new_id() : 0;
		}
		places_add(world->now.places, world->now.uidnext++, mail);
	}
}

static void expunge(struct world *world, guint percent)
{
	for (guint i = world->now.places->len; i-- > 0; ) {
		if (chance(percent))
			g_array_remove_index(world->now.places, i);
	}
}

static void index_lost(struct world *world)
{
	world->uidvalidity += g_test_rand_int_range(1, 5);
	world->now.id.uidvalidity = world->uidvalidity;
	if (chance(30))
		return;		/* sdbox keeps its UIDs */
	for (guint i = 0; i < world->now.places->len; i++)
		place_at(&world->now, i)->uid = i + 1;
	world->now.uidnext = world->now.places->len + 1;
}

/* Some get new UIDs in the same UIDVALIDITY. */
static void dsync_renumbers(struct world *world)
{
	GArray *places = places_new();
	guint percent = chance(20) ? 100 : 30;

	for (guint pass = 0; pass < 2; pass++) {
		for (guint i = 0; i < world->now.places->len; i++) {
			struct place *place = place_at(&world->now, i);

			if (pass == 1 && place->uid != 0) {
				places_add(places, world->now.uidnext++,
					   place->mail);
			} else if (pass == 0 && !chance(percent)) {
				places_add(places, place->uid, place->mail);
				place->uid = 0;
			}
		}
		world->now.uidnext += g_test_rand_int_range(0, 3);
	}
	g_array_unref(world->now.places);
	world->now.places = places;
}

/* By IMAP, into a mailbox made anew: only headers stay. */
static void moved_by_imap(struct world *world)
{
	g_autoptr(GHashTable) ids = g_hash_table_new_full(NULL, NULL, NULL,
							  g_free);

	index_lost(world);
	g_snprintf(world->now.id.guid, sizeof(world->now.id.guid), "%032x",
		   ++world->mailboxes);
	/* made by another program, whose numbers are lower */
	if (chance(30))
		world->now.id.uidvalidity = 500 + chance(50);
	for (guint i = 0; i < world->now.places->len; i++) {
		struct mail *mail = place_at(&world->now, i)->mail;
		gpointer key = GUINT_TO_POINTER(mail->class + 1);
		guint64 *id = g_hash_table_lookup(ids, key);

		if (id == NULL) {
			id = g_new(guint64, 1);
			*id = new_id();
			g_hash_table_insert(ids, key, id);
		}
		mail->id = *id;
		if (mail->header == 0)
			mail->certain = FALSE;
	}
}

static GArray *copy_places(const GArray *places)
{
	GArray *copy = places_new();

	for (guint i = 0; i < places->len; i++) {
		const struct place *place =
			&g_array_index(places, struct place, i);

		places_add(copy, place->uid, place->mail);
	}
	return copy;
}

static void make_copy(struct world *world)
{
	g_clear_pointer(&world->copy.places, g_array_unref);
	world->copy = world->now;
	world->copy.places = copy_places(world->now.places);
}

static void bring_back(struct world *world)
{
	if (world->copy.places == NULL)
		return;
	g_array_unref(world->now.places);
	world->now = world->copy;
	world->now.places = copy_places(world->copy.places);
	for (guint i = 0; i < world->now.places->len; i++) {
		struct mail *mail = place_at(&world->now, i)->mail;

		/* in the copy it may have another identity than since */
		if (!mail->certain || mail->twin)
			mail->certain = FALSE;
	}
}

static void happen(struct world *world)
{
	guint twins_percent = 5;

	if (chance(60))
		arrive(world, twins_percent);
	if (chance(30))
		expunge(world, g_test_rand_int_range(1, 101));
	switch (g_test_rand_int_range(0, 12)) {
	case 0:
		index_lost(world);
		break;
	case 1:
		dsync_renumbers(world);
		break;
	case 2:
		moved_by_imap(world);
		break;
	case 3:
	case 4:
		make_copy(world);
		break;
	case 5:
		bring_back(world);
		/* A copy that grew past the mark is known by the message of
		   the last shown UID: that is there, and no twin of it. */
		twins_percent = 0;
		break;
	}
	if (chance(30))
		arrive(world, twins_percent);
}

/* A login. */

static struct pp_mailbox_now look(const struct world *world)
{
	const struct pp_state *state = world->state;
	struct pp_mailbox_now mailbox = {
		.id = world->now.id, .uidnext = world->now.uidnext,
		.messages = world->now.places->len,
		.last_shown = PP_IDENTITY_UNKNOWN
	};

	for (guint i = 0; i < world->now.places->len; i++) {
		if (place_at(&world->now, i)->uid <= state->mark)
			mailbox.at_or_below_mark++;
		else
			mailbox.above_mark++;
	}
	for (guint i = state->shown_count; i-- > 0; ) {
		const struct place *place = place_find(&world->now,
						       state->shown[i].uid);

		if (place == NULL)
			continue;
		mailbox.last_shown = place->mail->id == state->shown[i].id ?
			PP_IDENTITY_SAME : PP_IDENTITY_OTHER;
		break;
	}
	return mailbox;
}

static GArray *identities(const struct mailbox *mailbox)
{
	GArray *array = g_array_new(FALSE, FALSE, sizeof(struct pp_identity));

	for (guint i = 0; i < mailbox->places->len; i++) {
		const struct place *place = place_at(mailbox, i);
		struct pp_identity identity = {
			.uid = place->uid, .id = place->mail->id,
			.header = place->mail->header
		};

		g_array_append_val(array, identity);
	}
	return array;
}

static void recover(struct world *world, const struct pp_mailbox_now *mailbox)
{
	g_autoptr(GArray) messages = identities(&world->now);
	struct pp_recovery recovery;

	pp_recover(world->state, world->ledger, messages, mailbox,
		   world->clock, TRUE, &recovery);
	pp_state_free(world->state);
	world->state = recovery.state;
	if (recovery.unchanged)
		return;
	g_array_set_size(world->ledger, 0);
	g_array_append_vals(world->ledger, messages->data, messages->len);
}

/* No UIDL twice, none of another message, the own one where it must be. */
static void check_listing(struct world *world)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash,
							   g_str_equal,
							   g_free, NULL);

	for (guint i = 0; i < world->now.places->len; i++) {
		struct place *place = place_at(&world->now, i);
		struct mail *mail = place->mail;
		char *uidl = pp_uidl_map_dup(world->state->map, place->uid);
		guint owner;

		g_assert_nonnull(uidl);
		g_assert_true(g_hash_table_add(seen, g_strdup(uidl)));
		owner = GPOINTER_TO_UINT(g_hash_table_lookup(world->owners,
							     uidl));
		g_assert_true(owner == 0 || owner == mail->class + 1);
		g_hash_table_insert(world->owners, g_strdup(uidl),
				    GUINT_TO_POINTER(mail->class + 1));
		if (mail->certain && !mail->twin)
			g_assert_cmpstr(uidl, ==, mail->uidl);
		g_free(mail->uidl);
		mail->uidl = uidl;
	}
}

/* Times stay. None comes to a message that was not retrieved, but where one
   came back unnoticed under its old UID. */
static void check_facts(const struct world *world, gboolean changed)
{
	for (guint i = 0; i < world->now.places->len; i++) {
		const struct place *place = place_at(&world->now, i);
		const struct mail *mail = place->mail;
		gboolean known = pp_runs_get(world->state->retrieved,
					     place->uid, NULL);

		if (mail->twin)
			continue;
		if (mail->certain)
			g_assert_cmpint(known, ==, mail->retrieved);
		else if (changed)
			g_assert_true(!known || mail->retrieved);
	}
}

static void forget_gone(struct world *world)
{
	/* what is only in the copy now was seen to be gone */
	for (guint i = 0; world->copy.places != NULL &&
	     i < world->copy.places->len; i++) {
		struct mail *mail = place_at(&world->copy, i)->mail;
		gboolean there = FALSE;

		for (guint j = 0; j < world->now.places->len; j++)
			there |= place_at(&world->now, j)->mail == mail;
		if (!there)
			mail->certain = FALSE;
	}
}

/* New UIDs are shown and stored; some messages are retrieved and DELEd. */
static void serve(struct world *world)
{
	struct pp_state *state = world->state;

	for (guint i = 0; i < world->now.places->len; i++) {
		struct place *place = place_at(&world->now, i);
		struct mail *mail = place->mail;
		struct pp_identity identity = {
			.uid = place->uid, .id = mail->id,
			.header = mail->header
		};

		if (place->uid > state->mark) {
			g_array_append_val(world->ledger, identity);
			pp_state_add_shown(state, place->uid, mail->id);
		}
		mail->certain = TRUE;
		mail->retrieved = pp_runs_get(state->retrieved, place->uid,
					      NULL);
		if (!mail->retrieved && chance(40)) {
			pp_runs_set(state->retrieved, place->uid, place->uid,
				    world->clock);
			mail->retrieved = TRUE;
		}
	}
	if (chance(20))
		expunge(world, 30);
	state->count = world->now.places->len;
	forget_gone(world);
}

/* What was stored is what is read at the next login. */
static void store(struct world *world)
{
	g_autofree char *doc = NULL;
	g_autoptr(GPtrArray) chunks = NULL;
	guint64 forgotten;
	guint needed;

	pp_state_encode(world->state, &doc, &chunks, &forgotten);
	pp_state_free(world->state);
	world->state = pp_state_decode(doc, &needed, NULL);
	g_assert_nonnull(world->state);
	g_assert_cmpuint(needed, ==, chunks->len);
	for (guint i = 0; i < needed; i++) {
		g_assert_true(pp_state_add_chunk(world->state, i,
						 chunks->pdata[i], NULL));
	}
}

static void login(struct world *world)
{
	struct pp_mailbox_now mailbox = look(world);
	gboolean changed = pp_mailbox_changed(world->state, &mailbox);

	world->clock += 1000;
	if (changed)
		recover(world, &mailbox);
	check_listing(world);
	check_facts(world, changed);
	if (!changed && mailbox.at_or_below_mark <= world->state->count &&
	    chance(15)) {
		/* The dict is out of reach: shown by the open rule, nothing
		   stored. No copy from before can be told from that; nor is
		   one told that came back and was not stored. */
		g_clear_pointer(&world->copy.places, g_array_unref);
		return;
	}
	serve(world);
	store(world);
}

static struct world *world_new(void)
{
	struct world *world = g_new0(struct world, 1);

	g_snprintf(world->now.id.guid, sizeof(world->now.id.guid), "%032x", 0);
	world->uidvalidity = 1000;
	world->now.id.uidvalidity = world->uidvalidity;
	world->now.uidnext = 1;
	world->now.places = places_new();
	world->state = pp_state_new(&world->now.id, 1);
	world->ledger = g_array_new(FALSE, FALSE, sizeof(struct pp_identity));
	world->owners = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
					      NULL);
	world->clock = 1000;
	return world;
}

static void world_free(struct world *world)
{
	g_array_unref(world->now.places);
	g_clear_pointer(&world->copy.places, g_array_unref);
	pp_state_free(world->state);
	g_array_unref(world->ledger);
	g_hash_table_unref(world->owners);
	g_free(world);
}

static void test_histories(void)
{
	for (guint i = 0; i < HISTORIES; i++) {
		struct world *world = world_new();

		for (guint j = 0; j < LOGINS; j++) {
			happen(world);
			login(world);
		}
		world_free(world);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/recovery-random/histories", test_histories);
	return g_test_run();
}
