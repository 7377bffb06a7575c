/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Errors of the core. Messages are half sentences without the key or the
   setting's name: the caller, who knows it, puts that in front. */
#ifndef PP_ERROR_H
#define PP_ERROR_H

#include <glib.h>

#define PP_ERROR (pp_error_quark())
GQuark pp_error_quark(void);

enum pp_error {
	/* The text is not what its format asks for: damaged or foreign. */
	PP_ERROR_SYNTAX,
	/* The checksum does not match: damaged or edited by hand. */
	PP_ERROR_CHECKSUM,
	/* Written by a later version of the format. */
	PP_ERROR_VERSION,
	/* A bound of pp-limits.h is exceeded. */
	PP_ERROR_LIMIT
};

#endif
