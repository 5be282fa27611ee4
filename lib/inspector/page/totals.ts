import type { Overview } from '../api.js'
import { duration, element, figure, make, setText } from './dom.js'

/** Counts that are highlighted unless they are zero. */
const alarming: readonly string[] = ['dead', 'conflict', 'refused']

/** Makes a tile for each count. Returns a function that shows the counts; the tiles stay, so that the layout stays still. */
function tiles<Name extends string>(id: string, ...names: Name[]): (counts: Readonly<Record<Name, number>>) => void {
  const made = names.map((name) => {
    const value = make('dd', {}, '–')
    const tile = make('div', { class: 'tile' }, make('dt', {}, name), value)
    element(id, HTMLDListElement).append(tile)
    return { name, tile, value }
  })
  return (counts) => {
    for (const { name, tile, value } of made) {
      setText(value, figure(counts[name]))
      tile.classList.toggle('alarming', alarming.includes(name) && counts[name] !== 0)
    }
  }
}

const oldest = element('oldest', HTMLElement)
const showCallbacks = tiles('callbacks', 'accepted', 'duplicate', 'stale', 'conflict', 'refused')
const showDeliveries = tiles('deliveries', 'waiting', 'held', 'running', 'done', 'dead', 'withdrawn', 'refused')

export function showTotals({ callbacks, deliveries, oldestWaitingMs }: Overview): void {
  showCallbacks(callbacks)
  showDeliveries(deliveries)
  const none = deliveries.held === 0 ? 'No delivery waits.' : 'No delivery waits, except those that confirm holds.'
  const some = `The oldest waiting delivery was received ${duration(oldestWaitingMs)} ago.`
  setText(oldest, deliveries.waiting === 0 ? none : some)
}
