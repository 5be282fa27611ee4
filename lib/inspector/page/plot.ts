import uPlot from 'uplot'
import type { DayCounts } from 'conversion-webhook'
import { element, figure, make } from './dom.js'

/** The parts of a bar, from bottom to top. */
const statuses = ['success', 'pending', 'fail'] as const
const height = 200
const halfDay = 43_200

const container = element('plot', HTMLElement)
const caption = element('day', HTMLElement)
const table = element('days', HTMLElement)

let shown: { readonly text: string; readonly days: readonly DayCounts[] } = { text: '', days: [] }
let plot: uPlot | undefined

for (const status of statuses) {
  element('legend', HTMLElement).append(make('li', { class: status }, status))
}

/** Draws the daily counts if they have changed. */
export function showDays(days: readonly DayCounts[]): void {
  const text = JSON.stringify(days)
  if (text === shown.text) return
  const hasSameDays = shown.days[0]?.day === days[0]?.day
  shown = { text, days }
  if (plot && hasSameDays) plot.setData(dataOf(days))
  else draw()
  describe(undefined)
  table.replaceChildren(...days.toReversed().map(rowOf))
}

function rowOf(counts: DayCounts): HTMLElement {
  const cells = statuses.map((status) => make('td', {}, figure(counts[status])))
  return make('tr', {}, make('th', { scope: 'row' }, counts.day), ...cells)
}

/** The heights of the stacked bars, the highest first: each series is drawn over the one before. */
function dataOf(days: readonly DayCounts[]): uPlot.AlignedData {
  const times = days.map(({ day }) => Date.parse(day) / 1_000)
  const sums = statuses.map((_status, top) =>
    days.map((counts) => statuses.slice(0, top + 1).reduce((sum, status) => sum + counts[status], 0)),
  )
  return [times, ...sums.reverse()]
}

function draw(): void {
  plot?.destroy()
  const theme = getComputedStyle(document.documentElement)
  const colour = (name: string): string => theme.getPropertyValue(`--${name}`).trim()
  const bars = uPlot.paths.bars?.({ size: [0.72, 36], radius: 0.12 })
  const axis = { stroke: colour('muted'), grid: { stroke: colour('line'), width: 1 }, ticks: { show: false } }
  const options: uPlot.Options = {
    width: widthOf(container),
    height,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1_000), 'Etc/UTC'),
    scales: {
      x: { range: (_plot, min, max) => [min - halfDay, max + halfDay] },
      y: { range: (_plot, _min, max) => [0, Math.max(4, Math.ceil(max * 1.1))] },
    },
    axes: [
      { ...axis, grid: { show: false }, values: '{D} {MMM}', space: 60, size: 32 },
      { ...axis, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6] },
    ],
    series: [
      {},
      ...statuses.toReversed().map((status) => ({
        label: status,
        fill: colour(status),
        stroke: colour(status),
        width: 0,
        points: { show: false },
        ...(bars && { paths: bars }),
      })),
    ],
    hooks: { setCursor: [describePointed] },
  }
  plot = new uPlot(options, dataOf(shown.days), container)
}

function describePointed({ cursor: { idx } }: uPlot): void {
  describe(typeof idx === 'number' ? shown.days[idx] : undefined)
}

/** Writes the sums of the day under the pointer below the plot, or the sums of all days. */
function describe(one: DayCounts | undefined): void {
  const days = one ? [one] : shown.days
  const sums = statuses.map((status) => {
    const sum = days.reduce((total, counts) => total + counts[status], 0)
    return `${figure(sum)} ${status}`
  })
  caption.textContent = `${one ? one.day : `Last ${String(days.length)} days`}: ${sums.join(', ')}`
}

function widthOf({ clientWidth }: HTMLElement): number {
  return Math.max(240, clientWidth)
}

new ResizeObserver(() => {
  const width = widthOf(container)
  if (plot && plot.width !== width) plot.setSize({ width, height })
}).observe(container)

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  if (plot) draw()
})
