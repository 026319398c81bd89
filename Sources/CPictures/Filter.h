// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "Rows.h"

/// For one axis: what each new position takes of the old ones.
struct taps {
  /// Most that one takes.
  int count;
  int32_t *first;
  /// `count` for each position, zeros behind the last it takes.
  int32_t *weight;
  /// How many it takes.
  int32_t *used;
};

/// Weights whose sum is `unity`.
/// - Returns: false without memory; what there is is freed by taps_free.
bool taps_make(struct taps *taps, int size, int new_size, int unity);
void taps_free(struct taps *taps);

bool filter_make(struct filter *filter, int size, int new_size, int channels);
void filter_free(struct filter *filter);

/// Samples behind a line's last that loads may touch.
int filter_margin(const struct filter *filter);
