// All ops.
#pragma once

#include "framework/ops/activations.h"
#include "framework/ops/attention.h"
#include "framework/ops/cast.h"
#include "framework/ops/dropout.h"
#include "framework/ops/embedding.h"
#include "framework/ops/gather_rows.h"
#include "framework/ops/layer_norm.h"
#include "framework/ops/losses.h"
#include "framework/ops/segments.h"
