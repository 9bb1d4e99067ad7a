/** Charts as PNG files, drawn by Chart.js without a browser. */
import { fileURLToPath } from 'node:url';
import { GlobalFonts } from 'canvas';
import type { ChartConfiguration } from 'chart.js';
import { ChartJSNodeCanvas } from 'chartjs-node-canvas';
import type { Results } from '../harness/results.js';
import { type DrawnChart, drawIntervals, drawReferenceLines, drawTexts } from './charts/annotations.js';
import type { Chart } from './charts/chart.js';
import { charts } from './charts/index.js';

const FONT = 'DejaVu Sans';
const INK = '#202020';

export interface Picture {
  /** Without a folder: `percent-of-bare-metal.png`. */
  name: string;
  png: Buffer;
}

/** One picture a chart; twice the size in pixels, so that print and dense screens stay sharp. */
export function renderPictures(results: Results): Picture[] {
  registerFonts();
  return charts(results).map((chart) => ({ name: `${chart.id}.png`, png: draw(chart) }));
}

/** A machine with nothing but Node has no fonts, and text would be left out without a word. */
function registerFonts(): void {
  if (GlobalFonts.has(FONT)) return;
  for (const file of ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf']) {
    GlobalFonts.registerFromPath(fileURLToPath(import.meta.resolve(`dejavu-fonts-ttf/ttf/${file}`)), FONT);
  }
}

function draw(chart: Chart): Buffer {
  const canvas = canvasOf(chart.width, chart.height);
  const options = { ...chart.config.options, devicePixelRatio: 2, color: INK, font: { family: FONT } };
  const plugins = [
    { id: 'reference', beforeDatasetsDraw: (c: unknown) => drawReferenceLines(c as DrawnChart) },
    {
      id: 'annotations',
      afterDatasetsDraw: (c: unknown) => {
        drawIntervals(c as DrawnChart);
        drawTexts(c as DrawnChart);
      },
    },
  ];
  // Chart.js's types know neither our annotations nor a chart whose type is only known at run time.
  return canvas.renderToBufferSync({ ...chart.config, options, plugins } as unknown as ChartConfiguration);
}

const canvases = new Map<string, ChartJSNodeCanvas>();

/** One instance a size: each holds a whole Chart.js of its own. */
function canvasOf(width: number, height: number): ChartJSNodeCanvas {
  const key = `${width}x${height}`;
  let canvas = canvases.get(key);
  if (!canvas) {
    canvas = new ChartJSNodeCanvas({
      width,
      height,
      backgroundColour: '#ffffff',
      chartCallback: (chartJs) => {
        chartJs.defaults.font.family = FONT;
        chartJs.defaults.color = INK;
      },
    });
    canvases.set(key, canvas);
  }
  return canvas;
}
