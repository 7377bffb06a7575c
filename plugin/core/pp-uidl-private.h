/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   What the UIDL map and its codec share. */
#ifndef PP_UIDL_PRIVATE_H
#define PP_UIDL_PRIVATE_H

#include "pp-uidl.h"

/* TRUE if no UID of FIRST..LAST has a UIDL. */
gboolean pp_uidl_map_is_free(const struct pp_uidl_map *map, guint32 first,
			     guint32 last);
/* TRUE if SEG is a rule that holds for mail still to come. */
gboolean pp_uidl_seg_is_open(const struct pp_uidl_seg *seg);

#endif
