import type { Overview } from '../api.js'
import { duration, element, figure, make } from './dom.js'

/** What deserves a look while it is not zero. */
const alarming: readonly string[] = ['dead', 'conflict', 'refused']

/** The tiles of a group, by name; made once, so that nothing jumps. */
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
  const none = held === 0 ? 'Nothing waits.' : 'Nothing waits but what confirm holds.'
  const text = waiting === 0 ? none : `The oldest that waits came ${duration(oldestWaitingMs)} ago.`
  if (oldest.textContent !== text) oldest.textContent = text
}
