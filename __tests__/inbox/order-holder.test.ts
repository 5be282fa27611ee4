import { conversionWebhook, memoryInbox, type ConfirmAnswer, type Inbox } from '../../lib/index.js'
import { params } from '../support/callbacks.js'

/* What rows and entries say of the claim that has an order, after the order has moved. */

let inbox: Inbox<undefined>
beforeEach(() => {
  inbox = memoryInbox()
})
afterEach(() => inbox.close())

function start(confirm: () => ConfirmAnswer) {
  const webhook = conversionWebhook({ onSuccess: () => undefined }, { secret: false, inbox, confirm })
  return async (orderID: string, changes: object = {}) => {
    const { id } = await webhook
      .accept(params({ conversion: 'success', goal_complete: '0', orderID, ...changes }))
      .catch(() => ({ id: '' })) // held
    return id
  }
}

async function replay(id: string): Promise<void> {
  await inbox.replay(id)
  while ((await inbox.get(id))?.state === 'waiting') await new Promise(setImmediate)
}

test('a refused delivery names the claim that has the order now, not the claim that had it at its refusal', async () => {
  let answer: ConfirmAnswer = 'hold'
  const report = start(() => answer)
  await report('A', { referrer_email: 'rival@shop.example' })
  answer = true
  const winner = await report('A', { referrer_email: 'anna@shop.example' })
  const [held] = await inbox.list({ email: 'rival@shop.example' })
  const rival = held?.id ?? ''
  await replay(rival)
  expect(await inbox.get(rival)).toMatchObject({ state: 'refused', takenBy: winner })
  const conflict = await report('A', { referrer_email: 'third@shop.example' })
  await replay(conflict)
  while ((await inbox.get(`${conflict}:success`))?.state !== 'done') await new Promise(setImmediate)
  expect(await inbox.get(rival)).toMatchObject({ state: 'refused', takenBy: conflict })
  expect(await inbox.get(`${winner}:success`)).toMatchObject({ state: 'done', takenBy: conflict })
})

test('an entry shows who has the order under another spelling', async () => {
  const report = start(() => ({ order: 1001 }))
  const first = await report('1001.0')
  const second = await report('01001')
  const claims = async (id: string) => {
    const entry = await inbox.get(`${id}:success`)
    return Object.fromEntries(entry?.claims.map((claim) => [claim.id, claim.hasOrder]) ?? [])
  }
  expect(await claims(second)).toEqual({ [first]: true, [second]: false })
  await replay(`${second}:success`)
  expect(await claims(second)).toEqual({ [second]: true })
  expect(await claims(first)).toEqual({ [first]: false, [second]: true })
})
