import { conversionWebhook, memoryInbox, type Inbox } from '../../lib/index.js'
import { entryView, rowView } from '../../lib/inspector/view.js'
import { params } from '../support/callbacks.js'

/* The API's answers about an order with several claims: Anna has it, a rival was refused, a third callback and a fail are conflicts. */

const anna = 'anna@shop.example'
const rivalEmail = 'rival@shop.example'
const third = 'third@shop.example'
const friend = 'friend@shop.example'

let inbox: Inbox<undefined>
let winner: string
let rival: string
let conflict: string
let fail: string

beforeAll(async () => {
  inbox = memoryInbox()
  let isPaid = false
  const confirm = () => isPaid || ('hold' as const)
  const webhook = conversionWebhook({ onSuccess: () => undefined }, { secret: false, inbox, confirm })
  const report = (changes: object) =>
    webhook
      .accept(params({ conversion: 'success', orderID: friend, referee_email: friend, goal_complete: '0', ...changes }))
      .then(({ id }) => id)
  await expect(report({ referrer_email: rivalEmail, purchaseValue: '9000' })).rejects.toMatchObject({
    code: 'ERR_CONVERSION_DELIVERY_HELD',
  })
  isPaid = true
  winner = await report({ referrer_email: anna })
  rival = await report({ referrer_email: rivalEmail, purchaseValue: '9000' })
  conflict = await report({ referrer_email: third })
  fail = await report({ referrer_email: third, conversion: 'fail' })
})
afterAll(() => inbox.close())

async function viewOf(id: string, isUnmasked = false) {
  const entry = await inbox.get(id)
  if (entry === undefined) throw new Error('nothing is recorded')
  return entryView(entry, isUnmasked)
}

test('a row says if another claim has its order', async () => {
  const rows = (await inbox.list()).map((row) => rowView(row, false))
  const taken = 'another claim has the order'
  expect(Object.fromEntries(rows.map(({ id, orderNote }) => [id, orderNote]))).toEqual({
    [`${winner}:success`]: undefined,
    [`${rival}:success`]: taken,
    [conflict]: taken,
    [fail]: taken,
  })
})

test('a conflict of the same people says in what it differs, and not that another claim has the order', async () => {
  const inbox = memoryInbox()
  const webhook = conversionWebhook({ onSuccess: () => undefined }, { secret: false, inbox })
  await webhook.accept(params({ goal_complete: '0' }))
  await webhook.accept(params({ goal_complete: '0', purchaseValue: '7' }))
  const [row] = await inbox.list({ state: 'conflict' })
  expect(row && rowView(row, false).orderNote).toBe('differs in purchaseValue')
})

test('an entry has all claims of the order, first the one that has it, and marks its own', async () => {
  const { claims, otherClaims, code } = await viewOf(`${rival}:success`, true)
  expect(code).toBe('ERR_CONVERSION_ORDER_TAKEN')
  expect(claims).toEqual([
    {
      id: winner,
      status: 'success',
      hasOrder: true,
      isOwn: false,
      referrer: anna,
      referee: friend,
      purchaseValue: 1000,
    },
    {
      id: rival,
      status: 'success',
      hasOrder: false,
      isOwn: true,
      referrer: rivalEmail,
      referee: friend,
      purchaseValue: 9000,
    },
  ])
  expect(otherClaims).toBe(0)
})

test('a conflict has each differing parameter with both values', async () => {
  expect((await viewOf(conflict, true)).differs).toEqual([
    { parameter: 'referrer_email', recorded: anna, received: third },
  ])
  expect((await viewOf(`${rival}:success`)).differs).toEqual([])
})

test('each entry of the history has the number of its claim', async () => {
  const { history } = await viewOf(conflict)
  const told = history.map(({ what, claim }) => (claim === undefined ? what : `${what} ${String(claim)}`))
  expect(told.sort()).toEqual([
    'conflict',
    'conflict',
    'done 1',
    'duplicate 2',
    'held 2',
    'recorded 1',
    'recorded 2',
    'refused 2',
  ])
})

test('the addresses of claims and differences are masked unless unmask is true', async () => {
  for (const id of [`${winner}:success`, `${rival}:success`, conflict, fail]) {
    expect(JSON.stringify(await viewOf(id))).not.toMatch(/anna|rival@|third|friend/)
  }
  const { claims, differs } = await viewOf(conflict)
  expect(differs).toEqual([
    { parameter: 'referrer_email', recorded: 'a•••@s•••.example', received: 't•••@s•••.example' },
  ])
  expect(claims[1]).toMatchObject({ referrer: 'r•••@s•••.example', referee: 'f•••@s•••.example' })
})

test('an order id that is an address is masked among the differences too', async () => {
  const entry = await inbox.get(conflict)
  if (entry === undefined) throw new Error('nothing is recorded')
  const differs = [{ parameter: 'orderID', recorded: friend }]
  expect(entryView({ ...entry, differs }, false).differs).toEqual([
    { parameter: 'orderID', recorded: 'f•••@s•••.example' },
  ])
})

test('the replay of a delivery refused for its order, or of a conflicting success, moves the order', async () => {
  const replay = async (id: string) => (await viewOf(id)).replay
  expect(await replay(`${rival}:success`)).toBe('moves')
  expect(await replay(conflict)).toBe('moves')
  expect(await replay(fail)).toBe('again')
  expect(await replay(`${winner}:success`)).toBe('again')
})

test('the replay of a conflict that leaves an address out records it for the claim that it agrees with', async () => {
  const entry = await inbox.get(fail)
  if (entry === undefined) throw new Error('nothing is recorded')
  const view = entryView({ ...entry, agreesWith: winner }, false)
  expect(view.replay).toBe('joins')
  expect(view.claims.filter(({ isOwn }) => isOwn).map(({ id }) => id)).toEqual([winner])
})
