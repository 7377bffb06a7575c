/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The error domain of the core. */
#include "pp-error.h"

G_DEFINE_QUARK(pp-error-quark, pp_error)
