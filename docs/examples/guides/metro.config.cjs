// metro.config.js
const { getDefaultConfig } = require('expo/metro-config'); // or '@react-native/metro-config'
const { withTelemedSync } = require('telemed-sync/metro');
module.exports = withTelemedSync(getDefaultConfig(__dirname));
