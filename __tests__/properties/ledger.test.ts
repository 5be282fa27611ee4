import {
  conversionWebhook,
  type Conversion,
  type ConversionContext,
  type ConversionEvent,
  type ConversionStatus,
} from '../../lib/index.js'
import { params } from '../support/callbacks.js'
import { contradict, statusIn } from '../support/recorded.js'
import { LedgerModel, nameOf, sequences, type Answer, type Completed, type Sent, type Shop } from './model.js'

/* The ledger for all sequences of up to four callbacks, through the memory inbox and real handlers. */

const all = sequences(4)
const events = ['pending', 'success', 'goalComplete', 'fail'] as const

/** The result of a sequence: the answers, what handlers completed in order, and what is recorded in the end. */
interface Result {
  readonly answers: readonly Answer[]
  readonly completed: readonly Completed[]
  readonly recorded: Completed['previous']
}

async function play(sequence: readonly Sent[], { failures = {}, handled = events }: Shop = {}): Promise<Result> {
  const left = new Map(Object.entries(failures) as [ConversionEvent, number][])
  const completed: Completed[] = []
  let recorded: Completed['previous']
  const tell = (_conversion: Conversion, { event, id, previous }: ConversionContext): void => {
    const failing = left.get(event) ?? 0
    left.set(event, failing - 1)
    if (failing > 0) throw new Error('a handler that fails')
    completed.push({ key: id.slice(id.indexOf(':') + 1) as Completed['key'], previous })
  }
  const webhook = conversionWebhook(
    {
      onError: () => undefined,
      onConflict: (conflict) => {
        recorded = conflict.recorded
      },
    },
    { secret: false },
  )
  for (const event of handled) webhook.on(event, tell)
  const answers: Answer[] = []
  for (const { status, goal } of sequence) {
    const sent = params({ conversion: status, goal_complete: goal ? '1' : '0' })
    answers.push(
      await webhook.accept(sent).then(
        ({ outcome }) => outcome as Answer,
        () => 'failed',
      ),
    )
  }
  if (sequence.some(({ status }) => status === 'success')) await contradict(webhook)
  else recorded = statusOnly(await statusIn(webhook.inbox))
  return { answers, completed, recorded }
}

/** Without a success no goal is delivered. */
function statusOnly(status: ConversionStatus | undefined): Completed['previous'] {
  return status && { status, goalComplete: false }
}

function expected(sequence: readonly Sent[], shop: Shop = {}): Result {
  const model = new LedgerModel(shop)
  const answers = sequence.map((sent) => model.receive(sent))
  return { answers, completed: model.completed, recorded: model.previous }
}

const keysOf = ({ completed }: Result) => completed.map(({ key }) => key)

const shops: Readonly<Record<string, Shop>> = {
  'deliveries succeed at once': {},
  'the first success fails': { failures: { success: 1 } },
  'the first goalComplete fails': { failures: { goalComplete: 1 } },
  'the first success and goalComplete fail': { failures: { success: 1, goalComplete: 1 } },
  'the first fail fails': { failures: { fail: 1 } },
  'the first pending fails': { failures: { pending: 1 } },
  'two of every event fail': { failures: { pending: 2, success: 2, goalComplete: 2, fail: 2 } },
  'no success is ever delivered': { failures: { success: 99, goalComplete: 99 } },
  'nothing is ever delivered': { failures: { pending: 99, success: 99, goalComplete: 99, fail: 99 } },
  'only goalComplete has a handler': { handled: ['goalComplete'] },
  'goalComplete and fail have handlers, and the first of each fails': {
    handled: ['goalComplete', 'fail'],
    failures: { goalComplete: 1, fail: 1 },
  },
  'success and fail have handlers': { handled: ['success', 'fail'] },
  'nothing has a handler': { handled: [] },
}

test('there are 6 + 36 + 216 + 1,296 sequences', () => {
  expect(new Set(all.map(nameOf)).size).toBe(1_554)
})

test.each(Object.entries(shops))(
  'when %s, every sequence is answered, delivered once and recorded as the table says',
  async (_name, shop) => {
    for (const sequence of all) {
      const name = nameOf(sequence)
      const result = await play(sequence, shop)
      expect({ name, ...result }).toEqual({ name, ...expected(sequence, shop) })
      expect(new Set(keysOf(result)).size).toBe(result.completed.length)
    }
  },
)

describe('repetition and delay', () => {
  const stateOf = (result: Result) => ({ keys: keysOf(result), recorded: result.recorded })

  test('callbacks that are each repeated at once complete the same deliveries and leave the same status', async () => {
    for (const sequence of all) {
      const name = nameOf(sequence)
      const once = stateOf(await play(sequence))
      for (const times of [2, 3]) {
        const repeated = sequence.flatMap((sent) => Array.from({ length: times }, () => sent))
        expect({ name, ...stateOf(await play(repeated)) }).toEqual({ name, ...once })
      }
    }
  })

  test('a pending or success repeated at any later time changes nothing', async () => {
    for (const sequence of sequences(3)) {
      const once = stateOf(await play(sequence))
      for (const [index, sent] of sequence.entries()) {
        if (sent.status === 'fail') continue
        for (let at = index + 1; at <= sequence.length; at++) {
          const repeated = [...sequence.slice(0, at), sent, ...sequence.slice(at)]
          const name = nameOf(repeated)
          expect({ name, ...stateOf(await play(repeated)) }).toEqual({ name, ...once })
        }
      }
    }
  })

  test('a fail repeated at any later time changes nothing, unless a success was accepted in between', async () => {
    for (const sequence of sequences(3)) {
      const result = await play(sequence)
      for (const [index, sent] of sequence.entries()) {
        if (sent.status !== 'fail') continue
        for (let at = index + 1; at <= sequence.length; at++) {
          const repeated = [...sequence.slice(0, at), sent, ...sequence.slice(at)]
          const name = nameOf(repeated)
          const again = await play(repeated)
          expect(keysOf(again)).toEqual([...new Set(keysOf(again))])
          const isSuccessBetween = sequence
            .slice(index, at)
            .some(({ status }, offset) => status === 'success' && result.answers[index + offset] === 'accepted')
          if (!isSuccessBetween) expect({ name, ...stateOf(again) }).toEqual({ name, ...stateOf(result) })
        }
      }
    }
  })

  test('a fail that is repeated after a later success counts as a new fail: it is a reversal, once', async () => {
    const fail = { status: 'fail', goal: false } as const
    const success = { status: 'success', goal: false } as const
    expect(keysOf(await play([fail, success, fail, success, fail]))).toEqual(['fail', 'success', 'reversal'])
  })

  test('a pending that arrives late neither changes the final status nor completes anything twice', async () => {
    for (const sequence of all) {
      const { recorded } = await play(sequence)
      for (const [index, sent] of sequence.entries()) {
        if (sent.status !== 'pending') continue
        const others = sequence.filter((_each, other) => other !== index)
        for (let at = index + 1; at <= others.length; at++) {
          const moved = [...others.slice(0, at), sent, ...others.slice(at)]
          const result = await play(moved)
          expect({ name: nameOf(moved), status: result.recorded?.status }).toEqual({
            name: nameOf(moved),
            status: recorded?.status,
          })
          expect(keysOf(result)).toEqual([...new Set(keysOf(result))])
        }
      }
    }
  })
})
