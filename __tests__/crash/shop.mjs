/*
 * A shop whose orders are claimed by more than the friend of their buyer. All of it follows from an order's number, so that every process
 * knows it.
 */
export const buyerOf = (number) => `buyer-${number}@shop.example`
export const friendOf = (number) => `friend-${number}@shop.example`

const spellings = [
  (number) => `0${number}`,
  (number) => `${number}.0`,
  (number) => `+${number}`,
  (number) => `${number}e0`,
]

/** Who claims an order, and what each of them sends. */
const claims = {
  honest: (number) => ({ orderID: number, referrer_email: friendOf(number), referee_email: buyerOf(number) }),
  thief: (number) => ({ orderID: number, referrer_email: 'thief@crime.example', referee_email: 'two@crime.example' }),
  blank: (number) => ({ orderID: number }),
  speller: (number) => ({ ...claims.honest(number), orderID: spellings[number % spellings.length](number) }),
}

export function callbackOf(number, who) {
  return { conversion: 'success', purchaseValue: '10', goal_complete: '1', ...claims[who](number) }
}

/** What the shop's `confirm` may be, who can claim an order there, and which number an order id is. */
export const shops = {
  /** No `confirm`: each spelling is an order of its own. */
  none: { confirm: undefined, rivals: ['thief', 'blank'], numberOf: (orderId) => orderId },
  /** Knows its orders by any spelling, and asks nobody whose they are. */
  naive: { confirm: ({ orderId }) => ({ order: Number(orderId) }), rivals: ['thief', 'blank', 'speller'], numberOf },
  /** Pays for the buyer's own callback, spelt as the shop spells it. */
  bound: {
    confirm({ orderId, referee }) {
      const number = numberOf(orderId)
      return number === orderId && referee.email === buyerOf(number) ? { order: number } : false
    },
    rivals: ['thief', 'blank', 'speller'],
    numberOf,
  },
}

function numberOf(orderId) {
  return String(Number(orderId))
}
