import { memoryInbox } from '../../lib/index.js'
import { conflictOf, type RefusedRecord } from '../../lib/inbox/records.js'
import { testHost, working } from '../support/host.js'
import { callbackOf } from '../support/ledger.js'

/* What the memory inbox keeps of refused callbacks and conflicts. */

function refused(number: number): RefusedRecord {
  return {
    kind: 'refused',
    id: `refused ${String(number).padStart(4, '0')}`,
    state: 'refused',
    code: 'ERR_CONVERSION_CALLBACK_REFUSED',
    issues: [],
    received: { pairs: [], issues: [], repairs: [] },
    scope: '',
    receivedAt: number,
    log: [],
  }
}

test('the last 1,000 are kept', async () => {
  const inbox = memoryInbox()
  inbox.attach(testHost(working).host)
  for (let number = 0; number < 1_500; number++) await inbox.quarantine(refused(number))
  const rows = await inbox.list({ limit: 1_000 })
  const last = Array.from({ length: 1_000 }, (_each, index) => refused(1_499 - index).id)
  expect(rows.map(({ id }) => id)).toEqual(last)
  expect(await inbox.list({ before: last.at(-1) })).toEqual([])
  await inbox.close()
})

test('nothing is quarantined before the inbox belongs to a webhook', () => {
  const quarantine = () => memoryInbox().quarantine(conflictOf('x', callbackOf('success')))
  expect(quarantine).toThrow('belongs to no webhook')
})
