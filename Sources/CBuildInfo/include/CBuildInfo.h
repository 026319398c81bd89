// SPDX-License-Identifier: Apache-2.0
// What this binary was built from. The version number itself is a constant of the program.
#pragma once
#include <stdbool.h>

/// Full git commit of the source tree, with "-dirty" after it when files differed from that commit;
/// "unknown" when the build was not told (mount/start tells it, a bare `swift build` does not).
const char *_Nonnull mpifs_build_commit(void);

/// Time of the build in UTC, "YYYY-MM-DD-HH:MM:SS" (the form in which Rockit's nodes print theirs). mount/start passes it;
/// after a bare `swift build` it is the time at which this file was compiled.
const char *_Nonnull mpifs_build_time(void);

/// Names of the traits built in, in alphabetical order, separated by one blank; "none" when there is none.
const char *_Nonnull mpifs_build_traits(void);

/// Whether the program, or the library it loads for media files, links GPL code.
bool mpifs_build_links_gpl(void);
