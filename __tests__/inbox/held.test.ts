import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { memoryInbox } from '../../lib/index.js'
import type { RefusedRecord } from '../../lib/inbox/records.js'
import { testHost, working } from '../support/host.js'
import { callbackOf } from '../support/ledger.js'

/* What the memory inbox keeps of refused callbacks and conflicts. Until there are operators to list them, the collector is asked. */

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function refused(number: number): RefusedRecord {
  return {
    kind: 'refused',
    id: `refused ${String(number)}`,
    code: 'ERR_CONVERSION_CALLBACK_REFUSED',
    issues: [],
    received: { pairs: [], issues: [], repairs: [] },
    scope: '',
    receivedAt: 0,
  }
}

test('the last 1,000 are kept; one that comes again counts as the newest', async () => {
  const inbox = memoryInbox()
  inbox.attach(testHost(working).host)
  const held: { readonly number: number; readonly ref: WeakRef<RefusedRecord> }[] = []
  const hold = async (number: number) => {
    const record = refused(number)
    held.push({ number, ref: new WeakRef(record) })
    await inbox.hold(record)
  }
  const kept = async () => {
    await turn() // a reference that was read or made in this turn keeps its object until the turn ends
    collectGarbage()
    return held.filter(({ ref }) => ref.deref() !== undefined).map(({ number }) => number)
  }

  for (let number = 0; number < 1_500; number++) await hold(number)
  const last = Array.from({ length: 1_000 }, (_each, index) => index + 500)
  expect(await kept()).toEqual(last)

  await hold(500)
  await hold(1_500)
  expect(await kept()).toEqual([...last.filter((number) => number > 501), 500, 1_500])
  await inbox.close()
})

test('nothing is held before the inbox belongs to a webhook', () => {
  const hold = () => memoryInbox().hold({ kind: 'conflict', id: 'x', callback: callbackOf('success') })
  expect(hold).toThrow('belongs to no webhook')
})
