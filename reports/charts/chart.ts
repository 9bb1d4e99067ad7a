/**
 * A chart as plain data: Chart.js draws it into a PNG and, embedded as JSON, in the page. What Chart.js has no notion of
 * (intervals, marks of failed cells, text at a bar's end) rides along in each dataset and is drawn by annotations.ts.
 */

export interface Interval {
  low: number;
  high: number;
}

export interface Dataset {
  label: string;
  data: (number | null)[];
  backgroundColor: string;
  borderColor: string;
  borderWidth?: number;
  borderDash?: number[];
  pointRadius?: number;
  pointStyle?: string;
  maxBarThickness?: number;
  /** Bars without a value take no place. */
  skipNull?: boolean;
  /** 95 % interval of each value; null: none is known. */
  intervals?: (Interval | null)[];
  /** Written beside each value, or in its place where there is none (`failed`). */
  texts?: string[];
}

export interface AxisOptions {
  title: { display: boolean; text: string };
  min?: number;
  suggestedMax?: number;
  grid?: { display: boolean };
  ticks?: { autoSkip: boolean };
}

export interface Chart {
  /** File name without its ending, and the anchor in the page. */
  id: string;
  title: string;
  /** What a person who cannot see the chart should know. */
  description: string;
  width: number;
  height: number;
  config: {
    type: 'bar' | 'line';
    data: { labels: string[]; datasets: Dataset[] };
    options: {
      indexAxis: 'x' | 'y';
      animation: false;
      responsive: boolean;
      maintainAspectRatio: boolean;
      layout: { padding: { left: number; right: number; top: number } };
      scales: { x: AxisOptions; y: AxisOptions };
      plugins: {
        title: { display: boolean; text: string };
        legend: { position: 'bottom'; labels: { usePointStyle: boolean } };
        /** Lines across the plot: bare metal at 100 %, the host's cores. */
        referenceLines: { lines: { axis: 'x' | 'y'; at: number; label: string }[] };
      };
    };
  };
}
