import type { Overview } from '../api.js'
import { duration, element, figure, make } from './dom.js'

/** Counts that are highlighted unless they are zero. */
const alarming: readonly string[] = ['dead', 'conflict', 'refused']

/** Shows counts as tiles. Each tile is made once and then updated, so that the layout stays still. */
function tiles(id: string): (counts: Readonly<Record<string, number>>) => void {
  const list = element(id, HTMLDListElement)
  const shown = new Map<string, { readonly tile: HTMLElement; readonly value: HTMLElement }>()
  return (counts) => {
    for (const [name, count] of Object.entries(counts)) {
      let entry = shown.get(name)
      if (entry === undefined) {
        const value = make('dd')
        const tile = make('div', { class: 'tile' }, make('dt', {}, name), value)
        list.append(tile)
        entry = { tile, value }
        shown.set(name, entry)
      }
      const text = figure(count)
      if (entry.value.textContent !== text) entry.value.textContent = text
      entry.tile.classList.toggle('alarming', alarming.includes(name) && count !== 0)
    }
  }
}

const oldest = element('oldest', HTMLElement)
const showCallbacks = tiles('callbacks')
const showDeliveries = tiles('deliveries')

export function showTotals({ callbacks, deliveries, oldestWaitingMs }: Overview): void {
  const { accepted, duplicate, stale, conflict, refused } = callbacks
  showCallbacks({ accepted, duplicate, stale, conflict, refused })
  const { waiting, held, running, done, dead, withdrawn, refused: notConfirmed } = deliveries
  showDeliveries({ waiting, held, running, done, dead, withdrawn, refused: notConfirmed })
  const none = held === 0 ? 'No delivery waits.' : 'No delivery waits, except those that confirm holds.'
  const text = waiting === 0 ? none : `The oldest waiting delivery was received ${duration(oldestWaitingMs)} ago.`
  if (oldest.textContent !== text) oldest.textContent = text
}
