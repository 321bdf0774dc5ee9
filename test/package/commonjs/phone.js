/** Stands for React Native and for AsyncStorage. */
const items = new Map();

export const AppState = { addEventListener: () => ({ remove: () => {} }) };
export default {
  getItem: async (key) => items.get(key) ?? null,
  setItem: async (key, value) => void items.set(key, value),
  removeItem: async (key) => void items.delete(key),
  getAllKeys: async () => [...items.keys()],
  multiGet: async (keys) => keys.map((key) => [key, items.get(key) ?? null]),
  multiSet: async (pairs) => pairs.forEach(([key, value]) => void items.set(key, value)),
  multiRemove: async (keys) => keys.forEach((key) => void items.delete(key)),
};
