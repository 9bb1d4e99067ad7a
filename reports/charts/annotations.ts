/**
 * What Chart.js does not draw: intervals, texts at values, reference lines. The page inlines these functions by their
 * source (html/page.ts), so each stands alone: no imports, no module state, nothing but its argument.
 */

interface Scale {
  getPixelForValue(value: number): number;
}

interface Point {
  x: number;
  y: number;
}

/** The part of a Chart.js chart that is used here; Chart.js's own types want the browser's. */
export interface DrawnChart {
  ctx: {
    save(): void;
    restore(): void;
    beginPath(): void;
    moveTo(x: number, y: number): void;
    lineTo(x: number, y: number): void;
    stroke(): void;
    fillText(text: string, x: number, y: number): void;
    measureText(text: string): { width: number };
    setLineDash(dash: number[]): void;
    strokeStyle: unknown;
    fillStyle: unknown;
    lineWidth: number;
    font: string;
    textAlign: string;
    textBaseline: string;
  };
  options: {
    indexAxis?: string;
    color?: unknown;
    plugins?: { referenceLines?: { lines: { axis: string; at: number; label: string }[] } };
  };
  chartArea: { left: number; right: number; top: number; bottom: number };
  scales: Record<string, Scale>;
  data: {
    datasets: {
      data: unknown[];
      borderColor?: unknown;
      intervals?: ({ low: number; high: number } | null)[];
      texts?: string[];
    }[];
  };
  isDatasetVisible(index: number): boolean;
  getDatasetMeta(index: number): { data: Point[] };
}

/** Whiskers of the 95 % intervals, along the value axis. */
export function drawIntervals(chart: DrawnChart): void {
  const { ctx } = chart;
  const horizontal = chart.options.indexAxis === 'y';
  const scale = chart.scales[horizontal ? 'x' : 'y'] as Scale;
  ctx.save();
  ctx.lineWidth = 1.5;
  ctx.strokeStyle = chart.options.color;
  chart.data.datasets.forEach((dataset, d) => {
    if (!chart.isDatasetVisible(d)) return;
    // On a bar the ink shows; lines meet in one place, where only their colours tell whose whisker it is.
    if (!horizontal) ctx.strokeStyle = dataset.borderColor;
    chart.getDatasetMeta(d).data.forEach((point, i) => {
      const interval = dataset.intervals?.[i];
      if (!interval) return;
      const low = scale.getPixelForValue(interval.low);
      const high = scale.getPixelForValue(interval.high);
      const cap = 4;
      ctx.beginPath();
      if (horizontal) {
        ctx.moveTo(low, point.y);
        ctx.lineTo(high, point.y);
        ctx.moveTo(low, point.y - cap);
        ctx.lineTo(low, point.y + cap);
        ctx.moveTo(high, point.y - cap);
        ctx.lineTo(high, point.y + cap);
      } else {
        ctx.moveTo(point.x, low);
        ctx.lineTo(point.x, high);
        ctx.moveTo(point.x - cap, low);
        ctx.lineTo(point.x + cap, low);
        ctx.moveTo(point.x - cap, high);
        ctx.lineTo(point.x + cap, high);
      }
      ctx.stroke();
    });
  });
  ctx.restore();
}

/** The figure behind each bar's whisker; `failed` or `skipped` at the base where there is none. */
export function drawTexts(chart: DrawnChart): void {
  const { ctx } = chart;
  const horizontal = chart.options.indexAxis === 'y';
  const scale = chart.scales[horizontal ? 'x' : 'y'] as Scale;
  ctx.save();
  ctx.font = '11px "DejaVu Sans", system-ui, sans-serif';
  ctx.textBaseline = 'middle';
  chart.data.datasets.forEach((dataset, d) => {
    if (!chart.isDatasetVisible(d)) return;
    chart.getDatasetMeta(d).data.forEach((point, i) => {
      const text = dataset.texts?.[i];
      if (!text) return;
      const value = dataset.data[i];
      // A bar without an interval is one without a figure: it only keeps its place for the word.
      const missing = value === null || value === undefined || (horizontal && !dataset.intervals?.[i]);
      const end = missing ? 0 : Math.max(Number(value), dataset.intervals?.[i]?.high ?? 0);
      ctx.fillStyle = missing ? '#c03030' : chart.options.color;
      ctx.textAlign = horizontal ? 'left' : 'center';
      // Within the plot, even where an interval leaves it.
      const rightmost = chart.chartArea.right - ctx.measureText(text).width;
      if (horizontal) ctx.fillText(text, Math.min(scale.getPixelForValue(end) + 7, rightmost), point.y);
      else ctx.fillText(text, point.x, scale.getPixelForValue(end) - 10);
    });
  });
  ctx.restore();
}

/** Dashed lines across the plot with a label at their end. */
export function drawReferenceLines(chart: DrawnChart): void {
  const { ctx, chartArea } = chart;
  ctx.save();
  ctx.setLineDash([4, 3]);
  ctx.lineWidth = 1;
  ctx.strokeStyle = chart.options.color;
  ctx.fillStyle = chart.options.color;
  ctx.font = '11px "DejaVu Sans", system-ui, sans-serif';
  for (const line of chart.options.plugins?.referenceLines?.lines ?? []) {
    const at = (chart.scales[line.axis] as Scale).getPixelForValue(line.at);
    ctx.beginPath();
    if (line.axis === 'x') {
      ctx.moveTo(at, chartArea.top);
      ctx.lineTo(at, chartArea.bottom);
      const fits = at + 4 + ctx.measureText(line.label).width <= chartArea.right;
      ctx.textAlign = fits ? 'left' : 'right';
      // Above the plot, where no bar can cover it.
      ctx.textBaseline = 'bottom';
      ctx.fillText(line.label, fits ? at + 4 : at - 4, chartArea.top - 1);
    } else {
      ctx.moveTo(chartArea.left, at);
      ctx.lineTo(chartArea.right, at);
      ctx.textAlign = 'right';
      ctx.textBaseline = 'bottom';
      ctx.fillText(line.label, chartArea.right - 2, at - 2);
    }
    ctx.stroke();
  }
  ctx.restore();
}
