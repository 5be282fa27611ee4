/** Makes views of items, from the first, until their JSON would take more than `bytes`. */
export function fitting<Item, View>(items: readonly Item[], bytes: number, viewOf: (item: Item) => View): View[] {
  const views: View[] = []
  let left = bytes
  for (const item of items) {
    const view = viewOf(item)
    left -= Buffer.byteLength(JSON.stringify(view)) + 1 // the comma
    if (left < 0) break
    views.push(view)
  }
  return views
}
