/** Horizontal bars with 95 % intervals: a row a workload, a bar an engine. */
import type { Chart, Dataset, Interval } from './chart.js';
import { engineColour } from './palette.js';

export interface Bar {
  /** 0 where only the text stands; null: nothing was measured, and the bar takes no place. */
  value: number | null;
  interval: Interval | null;
  text: string;
}

/** The bars of an engine, from the first row to the last. */
export function barSeries(label: string, engine: string, bars: readonly Bar[]): Dataset {
  return {
    label,
    data: bars.map(({ value }) => value),
    skipNull: true,
    backgroundColor: engineColour(engine),
    borderColor: engineColour(engine),
    maxBarThickness: 16,
    intervals: bars.map(({ interval }) => interval),
    texts: bars.map(({ text }) => text),
  };
}

export interface BarChart {
  id: string;
  title: string;
  /** Above the bars. */
  heading: string;
  /** What the axis measures. */
  axis: string;
  /** A line across the plot; the axis reaches it at least, and `most` at most. */
  reference: { at: number; label: string };
  most?: number;
  rows: string[];
  datasets: Dataset[];
  /** In the description, in place of a text that is empty. */
  blank: string;
}

export function barChart({ id, title, heading, axis, reference, most, rows, datasets, blank }: BarChart): Chart {
  const highest = Math.max(
    reference.at,
    ...datasets.flatMap(({ intervals }) => intervals?.map((i) => i?.high ?? 0) ?? []),
  );
  return {
    id,
    title,
    description: datasets.map((each) => describe(each, rows, blank)).join(' '),
    width: 1000,
    height: 130 + rows.length * (10 + 18 * datasets.length),
    config: {
      type: 'bar',
      data: { labels: rows, datasets },
      options: {
        indexAxis: 'y',
        animation: false,
        responsive: false,
        maintainAspectRatio: false,
        layout: { padding: { left: 8, right: 24, top: 4 } },
        scales: {
          x: {
            title: { display: true, text: `${axis} (median of paired samples, 95 % interval)` },
            min: 0,
            suggestedMax: Math.min(highest, most ?? Number.POSITIVE_INFINITY) * 1.12,
          },
          y: { title: { display: false, text: '' }, grid: { display: false }, ticks: { autoSkip: false } },
        },
        plugins: {
          title: { display: true, text: `${heading} (higher is better)` },
          legend: { position: 'bottom', labels: { usePointStyle: false } },
          referenceLines: { lines: [{ axis: 'x', ...reference }] },
        },
      },
    },
  };
}

function describe({ label, texts }: Dataset, rows: readonly string[], blank: string): string {
  return `${label}: ${rows.map((row, i) => `${row} ${texts?.[i] || blank}`).join(', ')}.`;
}
