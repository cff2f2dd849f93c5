/**
 * Matrix products as tiles. Either operand can be the rows and the other one the lanes; what costs
 * less is chosen: rows are cheap where k is contiguous, lanes where it is not, and both want to
 * fill tiles.
 *
 * Defines the GEMM kernels of a level; LEVEL(name) is the name of a kernel there.
 */

enum { GEMM_K = 768 }; /**< longest chunk of k */

/** One operand: element (i, k) lies at x + i * step + k * k_step; one of the steps is 1. */
typedef struct gemm_side {
    const void *x;
    int64_t n, step, k_step;
} gemm_side;

typedef struct gemm_job {
    gemm_side rows, lanes;
    tile_type t;
    void *y;
    int64_t y_row, y_lane; /**< steps of the result */
    int64_t k, chunk;
    int64_t row_block, lane_block, row_blocks, lane_blocks;
} gemm_job;

typedef struct gemm_buffers {
    tile_k k;
    _Alignas(64) tile_lane panel[TILE_PANEL];
    _Alignas(64) tile_row band[TILE_BAND + TILE_SLACK];
    _Alignas(64) int32_t sum[2 * TILE_SUMS];
} gemm_buffers;

/** About 32 times the cycles of a product with these rows and lanes. */
static int64_t gemm_cost(const gemm_side *rows, const gemm_side *lanes, int64_t k)
{
    const int64_t r = tile_ceil(rows->n, TILE_ROWS) * TILE_ROWS;
    const int64_t l = tile_ceil(lanes->n, TILE_LANES) * TILE_LANES;
    return k * (r * l + l * (lanes->k_step == 1 ? 16 : 8) +
                r * tile_ceil(l, 64) * (rows->k_step == 1 ? 4 : 12));
}

/** Rows [r, r+n) and elements [k, k+count) of k, `padded` elements a row. */
static void gemm_rows(const gemm_job *j, tile_row *band, int64_t r, int64_t n, int64_t k,
                      int64_t count, int64_t padded)
{
    const gemm_side *s = &j->rows;
    const void *x = tile_advance(s->x, j->t, r * s->step + k * s->k_step);
    if (s->k_step != 1) {
        const tile_target target = {.at = band, .step = padded, .width = INT64_MAX};
        tile_pixels(target, j->t, x, s->k_step, count, n);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        tile_take(band + i * padded, j->t, x, i * s->step, count);
    }
}

/** Sums of rows [r, r+n) and `lanes` lanes from l on. */
static void gemm_store(const gemm_job *j, const int32_t *sum, int64_t r, int64_t n, int64_t l,
                       int64_t lanes, bool add)
{
    const tile_out o = {.y = tile_result(j->y, j->t, r * j->y_row + l * j->y_lane),
                        .lane_step = j->y_lane,
                        .row_step = j->y_row,
                        .add = add};
    tile_scatter(&o, j->t, sum, n, lanes);
}

/** The products of a block of rows with the packed lanes [l, l+lanes) over a chunk of k. */
static void gemm_tiles(const gemm_job *j, gemm_buffers *b, int64_t r0, int64_t n, int64_t l0,
                       int64_t lanes, int64_t panel, int64_t padded, bool add)
{
    const tile_row *row[TILE_POSITIONS + TILE_ROWS];
    for (int64_t r = 0; r < n; r += TILE_POSITIONS) {
        const int64_t count = tile_least(n - r, TILE_POSITIONS);
        for (int64_t i = 0; i < count + TILE_ROWS; i++) {
            row[i] = b->band + (i < count ? r + i : 0) * padded;
        }
        for (int64_t l = 0; l < lanes; l += TILE_LANES) {
            tile_run(row, count, &b->k, j->t, b->panel + l / TILE_LANES * panel, b->sum);
            gemm_store(j, b->sum, r0 + r, count, l0 + l, tile_least(lanes - l, TILE_LANES), add);
        }
    }
}

/** Items are (block of lanes, block of rows); lanes are packed once for all rows. */
static void gemm_range(void *user, int64_t begin, int64_t end)
{
    const gemm_job *j = (const gemm_job *)user;
    const gemm_side *s = &j->lanes;
    gemm_buffers b;
    /* what lies between rows and behind them meets zeros of the lanes, but is read */
    tile_zeros(b.band, j->row_block * (tile_ceil(j->chunk, TILE_UNIT) * TILE_UNIT) + TILE_SLACK);
    for (int64_t i = begin; i < end;) {
        const int64_t l0 = i / j->row_blocks * j->lane_block;
        const int64_t lanes = tile_least(j->lane_block, s->n - l0);
        const int64_t last = tile_least(end, (i / j->row_blocks + 1) * j->row_blocks);
        for (int64_t k = 0; k == 0 || k < j->k; k += j->chunk) {
            const int64_t count = tile_least(j->chunk, j->k - k);
            const int64_t padded = tile_ceil(count, TILE_UNIT) * TILE_UNIT;
            int64_t panel = 0;
            for (int64_t l = 0; l < lanes; l += TILE_LANES) {
                panel = tile_panel(b.panel + l / TILE_LANES * panel, j->t,
                                   tile_advance(s->x, j->t, (l0 + l) * s->step + k * s->k_step),
                                   s->step, s->k_step, tile_least(lanes - l, TILE_LANES), count);
            }
            b.k.runs = 1;
            b.k.units = (int)(padded / TILE_UNIT);
            b.k.at[0] = 0;
            for (int64_t q = i; q < last; q++) {
                const int64_t r0 = q % j->row_blocks * j->row_block;
                const int64_t n = tile_least(j->row_block, j->rows.n - r0);
                gemm_rows(j, b.band, r0, n, k, count, padded);
                gemm_tiles(j, &b, r0, n, l0, lanes, panel, padded, k > 0);
            }
        }
        i = last;
    }
}

/** Sizes of blocks; smaller ones where there would be too few for the threads. */
static void gemm_plan(gemm_job *j, int32_t threads)
{
    const int64_t parts = j->t.in16 ? 2 : 1;
    const int64_t chunks = tile_ceil(j->k, j->t.in16 ? TILE_K16 : GEMM_K);
    j->chunk = chunks > 1 ? tile_ceil(tile_ceil(j->k, chunks), 16) * 16 : j->k + (j->k == 0);
    const int64_t padded = tile_ceil(j->chunk, TILE_UNIT) * TILE_UNIT;
    j->lane_block = TILE_PANEL / (padded * parts) / TILE_LANES * TILE_LANES;
    j->lane_block = tile_least(j->lane_block, 1024);
    j->row_block = tile_least(TILE_BAND / padded, 1024) / TILE_ROWS * TILE_ROWS;
    j->row_block = tile_least(j->row_block, tile_ceil(j->rows.n, TILE_ROWS) * TILE_ROWS);
    j->lane_block = tile_least(j->lane_block, tile_ceil(j->lanes.n, TILE_LANES) * TILE_LANES);
    while (threads > 1 &&
           tile_ceil(j->rows.n, j->row_block) * tile_ceil(j->lanes.n, j->lane_block) < threads &&
           (j->lane_block > TILE_LANES || j->row_block > 4 * TILE_ROWS)) {
        if (j->lane_block > TILE_LANES) {
            j->lane_block = tile_ceil(j->lane_block / 2, TILE_LANES) * TILE_LANES;
        } else {
            j->row_block = tile_ceil(j->row_block / 2, TILE_ROWS) * TILE_ROWS;
        }
    }
    j->row_blocks = tile_ceil(j->rows.n, j->row_block);
    j->lane_blocks = tile_ceil(j->lanes.n, j->lane_block);
}

static void gemm_run(const itr_gemm_args *g, tile_type t)
{
    if (g->m == 0 || g->n == 0) {
        return;
    }
    for (int64_t i = 0; i < g->batch; i++) {
        const gemm_side a = {tile_advance(g->a, t, i * g->stride_a), g->m, g->trans_a ? 1 : g->k,
                             g->trans_a ? g->m : 1};
        const gemm_side b = {tile_advance(g->b, t, i * g->stride_b), g->n, g->trans_b ? g->k : 1,
                             g->trans_b ? 1 : g->n};
        const bool swap = gemm_cost(&b, &a, g->k) < gemm_cost(&a, &b, g->k);
        gemm_job j = {.rows = swap ? b : a,
                      .lanes = swap ? a : b,
                      .t = t,
                      .y = tile_result(g->y, t, i * g->m * g->n),
                      .y_row = swap ? 1 : g->n,
                      .y_lane = swap ? g->n : 1,
                      .k = g->k};
        gemm_plan(&j, itr_pool_threads(g->pool));
        itr_parallel(g->pool, j.row_blocks * j.lane_blocks, 1, gemm_range, &j);
    }
}

void LEVEL(itr_gemm_i8i8i32)(const itr_gemm_args *a)
{
    gemm_run(a, (tile_type){.in16 = false, .out64 = false});
}

void LEVEL(itr_gemm_i8i8i64)(const itr_gemm_args *a)
{
    gemm_run(a, (tile_type){.in16 = false, .out64 = true});
}

#if TILE_16
void LEVEL(itr_gemm_i16i16i64)(const itr_gemm_args *a)
{
    gemm_run(a, (tile_type){.in16 = true, .out64 = true});
}
#endif
