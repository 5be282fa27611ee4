/* What a snippet marked `prisma` continues: as much of a Prisma client as the snippet calls, with one transaction at a time in memory. */
import { conversionWebhook } from 'conversion-webhook'
import { sampleParams } from 'conversion-webhook/testing'

const handled = new Set<string>()
const rewards: object[] = []

const tx = {
  handled: {
    createMany({ data }: { readonly data: readonly { readonly id: string }[] }) {
      const fresh = data.filter(({ id }) => !handled.has(id))
      for (const { id } of fresh) handled.add(id)
      return Promise.resolve({ count: fresh.length })
    },
  },
  order: {
    findUniqueOrThrow: ({ where }: { readonly where: { readonly number: string } }) =>
      Promise.resolve({ number: where.number, cents: 10_000 }),
  },
  reward: { create: ({ data }: { readonly data: object }) => Promise.resolve(rewards.push(data)) },
}

export const prisma = { $transaction: (run: (client: typeof tx) => Promise<void>) => run(tx) }

type Handler = Parameters<typeof conversionWebhook>[0]['onSuccess']

/** Has the handler of the snippet run twice for one delivery, as after a crash, and looks what it booked. */
export async function check({ onSuccess }: { readonly onSuccess: NonNullable<Handler> }): Promise<void> {
  const twice: NonNullable<Handler> = async (conversion, context) => {
    await onSuccess(conversion, context)
    await onSuccess(conversion, context)
  }
  const webhook = conversionWebhook({ onSuccess: twice }, { secret: false })
  await webhook.accept(sampleParams())
  const booked = JSON.stringify(rewards)
  const expected = '[{"orderNumber":"ASDXXXXX","kind":"reward","email":"example@gmail.com","cents":1000}]'
  if (booked !== expected) throw new Error(`booked ${booked}`)
}
