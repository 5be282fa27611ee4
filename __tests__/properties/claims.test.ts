import { checkHistories } from './claims-property.js'

/* Random histories of claims against the model: some thousands here, a million by `npm run test:histories`. */

const runs = Number(process.env.HISTORIES ?? 3_000)
const seed = Number(process.env.HISTORIES_SEED ?? Date.now() % 2 ** 30)

/** Events that happen in at least one of a hundred histories. */
const usual = [
  ...['row 1', 'row 2', 'row 3', 'row 4', 'row 5', 'row 6', 'accepted', 'duplicate', 'stale', 'conflict'],
  ...[
    'confirm: yes',
    'confirm: no',
    'confirm: hold',
    'confirm: date',
    'confirm: fails',
    'reserved',
    'paid',
    'reversal',
  ],
  ...['found less than all', 'taken at the reservation', 'taken for gone', 'forgotten', 'commit: done'],
  ...['replay of a conflict', 'replay into a claim', 'replay of a refused delivery', 'moved by a person'],
  'an honest claim is paid',
]
/** Events that need so many steps that they happen only a few times in a thousand histories. */
const unusual = ['no replay while the holder runs', 'paid without confirm for an order that it named']

test(`${String(runs)} random histories agree with the model (seed ${String(seed)})`, async () => {
  const counts = await checkHistories(runs, seed)
  const rare = usual.filter((what) => (counts[what] ?? 0) < runs / 100)
  expect([...rare, ...unusual.filter((what) => counts[what] === undefined)]).toEqual([])
}, 600_000)
