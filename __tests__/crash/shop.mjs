/*
 * A shop whose orders are claimed by several senders. Buyers and claims are computed from an order's number, so that every process knows
 * them.
 */
export const buyerOf = (number) => `buyer-${number}@shop.example`
export const friendOf = (number) => `friend-${number}@shop.example`

const spellings = [
  (number) => `0${number}`,
  (number) => `${number}.0`,
  (number) => `+${number}`,
  (number) => `${number}e0`,
]

/** The senders who claim an order, with the parameters that each sends. */
const claims = {
  honest: (number) => ({ orderID: number, referrer_email: friendOf(number), referee_email: buyerOf(number) }),
  thief: (number) => ({ orderID: number, referrer_email: 'thief@crime.example', referee_email: 'two@crime.example' }),
  blank: (number) => ({ orderID: number }),
  speller: (number) => ({ ...claims.honest(number), orderID: spellings[number % spellings.length](number) }),
}

export function callbackOf(number, who) {
  return { conversion: 'success', purchaseValue: '10', goal_complete: '1', ...claims[who](number) }
}

/** Kinds of shops: the `confirm` of each, the rivals whose claims could be paid there, and the number that an order id stands for. */
export const shops = {
  /** No `confirm`: each spelling is an order of its own. */
  none: { confirm: undefined, rivals: ['thief', 'blank'], numberOf: (orderId) => orderId },
  /** Recognises its orders in any spelling, and does not check who the buyer is. */
  naive: { confirm: ({ orderId }) => ({ order: Number(orderId) }), rivals: ['thief', 'blank', 'speller'], numberOf },
  /** Says yes only if the referee is the buyer and the order number is spelt as the shop spells it. */
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
